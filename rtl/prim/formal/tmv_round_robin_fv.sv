`include "tmv_formal.svh"

/// `tmv_round_robin` grants one request a cycle. A request that stays waits for one turn of each other client at most.
///
/// Unbounded. A proof is for one number of clients.
module tmv_round_robin_fv #(
  parameter int unsigned Clients = 4
) (
  input logic               clk_i,
  input logic               enable_i,
  input logic [Clients-1:0] req_i
);
  typedef logic [4:0] count_t;

  `TMV_FORMAL_RESET

  logic [Clients-1:0] grant;

  tmv_round_robin #(
    .Clients(Clients)
  ) u_arbiter (
    .clk_i,
    .rst_ni,
    .enable_i,
    .req_i,
    .grant_o(grant)
  );

  `TMV_ASSERT(OneHot, (grant & (grant - 1'b1)) == '0)
  `TMV_ASSERT(OnlyWhoAsks, (grant & ~req_i) == '0 && (enable_i || grant == '0))
  `TMV_ASSERT(NoCycleIsLost, !enable_i || req_i == '0 || grant != '0)

  // The mask is all ones from some client on. That client is `first`: the search begins with it.
  count_t first;

  always_comb begin
    first = count_t'(Clients);
    for (int c = int'(Clients) - 1; c >= 0; c--) if (u_arbiter.mask_q[c]) first = count_t'(c);
  end

  `TMV_ASSERT(HelpMask, u_arbiter.mask_q == ({Clients{1'b1}} << first))

  for (genvar c = 0; c < int'(Clients); c++) begin : gen_client
    // Enabled cycles in which this client asked and was not granted; clients that come before it in the search.
    count_t waited_q, ahead;

    assign ahead = (first <= count_t'(c)) ? count_t'(c) - first : count_t'(Clients) - first + count_t'(c);

    always_ff @(posedge clk_i) begin
      if (!rst_ni || !req_i[c] || grant[c]) waited_q <= '0;
      else waited_q <= waited_q + count_t'(enable_i);
    end

    `TMV_ASSERT(Fair, !(enable_i && req_i[c] && !grant[c]) || waited_q < count_t'(Clients - 1))
    `TMV_ASSERT(HelpFair, (waited_q < count_t'(Clients) && waited_q + ahead < count_t'(Clients)) || waited_q == '0)
  end

  `TMV_COVER(LongestWait, gen_client[0].waited_q == count_t'(Clients - 1) && grant[0])
endmodule
