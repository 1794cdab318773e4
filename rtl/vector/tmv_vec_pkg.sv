/// Types and constants that the modules of the vector unit share.
///
/// Terms:
///   word         as many singles as there are lanes: what the scratchpad delivers in a cycle
///   pass         the work of one instruction: a nest of four loops over words
///   slot         one iteration of the innermost loop: a word through the lanes
///   chain        the loop whose iterations add into the same accumulator
///   stream       words that come from memory, in order
///   element      a single in the scratchpad, by its number
package tmv_vec_pkg;
  import tmv_axi_pkg::*;

  /// Loops of a pass, outermost first.
  localparam int unsigned Loops = 4;
  /// Partial sums of golden's order: element i of a sum belongs to sum i mod 32.
  localparam int unsigned Partials = 32;
  /// Cycles from a slot that reads an accumulator to the first one that may read its sum.
  localparam int unsigned ChainCycles = 8;
  /// Slots of a division: a divider serves as many lanes.
  localparam int unsigned DivideSlots = 8;

  typedef logic [15:0] count_t;

  /// What a pass does with the results of its lanes.
  typedef enum logic [2:0] {
    /// Every slot writes its word.
    KindMap = 3'd0,
    /// Loop 1 is the chain. Partial sums are folded in golden's order; a sum is one element.
    KindSum = 3'd1,
    /// Loop 0 is the chain. Accumulators are written as words after the last iteration.
    KindKeep = 3'd2,
    /// As `KindMap`; also the largest value of each iteration of loop 0, as an element.
    KindMax = 3'd3,
    /// As `KindMax`, of magnitudes.
    KindMaxAbs = 3'd4
  } kind_e;

  /// Where X comes from: the scratchpad, or memory as singles, bfloat16 or int32.
  typedef enum logic [1:0] {
    FromScratch = 2'd0,
    FromF32 = 2'd1,
    FromBf16 = 2'd2,
    FromI32 = 2'd3
  } from_e;

  /// Where words go: the scratchpad, or memory as singles, bfloat16 or the low byte of each single.
  typedef enum logic [1:0] {
    ToScratch = 2'd0,
    ToF32 = 2'd1,
    ToBf16 = 2'd2,
    ToI8 = 2'd3
  } to_e;

  /// M = A * B, A / B, or the square root of A.
  typedef enum logic [1:0] {
    OpMul = 2'd0,
    OpDiv = 2'd1,
    OpRoot = 2'd2
  } m_op_e;

  /// A: X, X or zero if X is negative, 1.
  typedef enum logic [1:0] {
    AX = 2'd0,
    ARelu = 2'd1,
    AOne = 2'd2
  } a_sel_e;

  /// B: 1, an immediate, Y, A, 2^(Y + 1) for an integer Y of -150 to 0.
  typedef enum logic [2:0] {
    BOne = 3'd0,
    BImm = 3'd1,
    BY = 3'd2,
    BA = 3'd3,
    BExp2 = 3'd4
  } b_sel_e;

  /// C: nothing, an immediate, Y. A pass with a chain adds the accumulator instead.
  typedef enum logic [1:0] {
    CNone = 2'd0,
    CImm = 2'd1,
    CY = 2'd2
  } c_sel_e;

  /// After S = M + C: nothing; cut the fraction; at least the immediate; zero if M is zero and |S| at most 2^-13.
  typedef enum logic [1:0] {
    PostNone = 2'd0,
    PostTrunc = 2'd1,
    PostFloor = 2'd2,
    PostFlush = 2'd3
  } post_e;

  /// What the lanes need of an instruction, a bit a choice, constant during a pass. Whatever is equal in all lanes, immediates
  /// and elements, comes to them as a scalar beside it.
  typedef struct packed {
    /// A: X, but zero if it is negative.
    logic        a_relu;
    /// B: a word of Y, A or 2^(Y + 1) of a word; the scalar if none of them. Then whether its sign changes.
    logic        b_y;
    logic        b_a;
    logic        b_exp2;
    logic        b_neg;
    /// M: the product, or what the dividers give.
    logic        mul;
    logic        m_round;
    /// C: the accumulator, or a word of Y, and whether the sign of Y changes; the scalar if none of them.
    logic        chain;
    logic        c_y;
    logic        c_neg;
    logic        s_round;
    logic        floor;
    logic        flush;
    logic        trunc;
    /// The least result.
    logic [31:0] least;
  } lane_op_t;

  /// 2^(y + 1) for an integer y of -150 to 0, of which exponent and upper bits of the fraction are given; subnormal below -127.
  function automatic logic [31:0] exp2_plus_1(logic [7:0] exponent, logic [6:0] fraction);
    logic [7:0] magnitude;
    // An exponent of 127 to 134.
    unique case (exponent[2:0])
      3'd7: magnitude = 8'd1;
      3'd0: magnitude = {7'd1, fraction[6]};
      3'd1: magnitude = {6'd1, fraction[6:5]};
      3'd2: magnitude = {5'd1, fraction[6:4]};
      3'd3: magnitude = {4'd1, fraction[6:3]};
      3'd4: magnitude = {3'd1, fraction[6:2]};
      3'd5: magnitude = {2'd1, fraction[6:1]};
      3'd6: magnitude = {1'b1, fraction};
    endcase
    if (exponent < 8'd127) magnitude = '0;
    return magnitude[7] ? 32'h0040_0000 >> magnitude[4:0] : {1'b0, 8'd128 - magnitude, 23'b0};
  endfunction

  /// An instruction as it stands in memory: word 15 first. The README of this folder has the fields.
  typedef struct packed {
    count_t      row_beats;
    count_t      row_stride;
    count_t      r_base;
    logic [5:0]  reserved;
    logic        after;
    logic        tell;
    addr_t       addr;
    count_t      d3, d2, d1, d0, d_base;
    count_t      y3, y2, y1, y0, y_base;
    count_t      rows;
    count_t      x3, x2, x1, x0, x_base;
    count_t      n3, n2, n1, n0;
    logic [31:0] imm_c;
    logic [31:0] imm_b;
    logic [5:0]  last;
    logic        fence;
    logic        hold;
    logic        more;
    to_e         d_to;
    logic        y_element;
    post_e       post;
    logic        s_round;
    logic        m_round;
    logic        c_neg;
    c_sel_e      c_sel;
    logic        b_neg;
    b_sel_e      b_sel;
    a_sel_e      a_sel;
    m_op_e       m_op;
    from_e       x_from;
    kind_e       kind;
  } instr_t;

  /// A range of memory in rows: what a stream reads, or what is written.
  typedef struct packed {
    addr_t  addr;
    count_t rows;
    count_t row_beats;
    /// Bytes from row to row, divided by 16.
    count_t row_stride;
    from_e  from;
  } range_t;
endpackage
