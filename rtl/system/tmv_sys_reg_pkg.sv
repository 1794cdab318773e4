// Generated from `rtl/system/registers.toml` by `cargo run -p register_map`; do not edit.

/// Constants, register offsets (bytes), masks of the bits that are not reserved, field positions (bits).
package tmv_sys_reg_pkg;
  localparam logic [31:0] MapVersion = 32'h0000_0001;
  localparam logic [31:0] MapHash = 32'hb5a2_7424;

  /// Value of the register ID: the letters TSQ1.
  localparam int unsigned IdValue = 1414746417;
  /// Value of PARAM.CORE: VexRiscv Full, rv32im.
  localparam int unsigned CoreVexriscv = 0;
  /// Value of PARAM.CORE: CV32E40P with FPU, rv32imfc.
  localparam int unsigned CoreCv32e40p = 1;

  localparam logic [11:0] IdOffset = 12'h000;
  localparam logic [11:0] VersionOffset = 12'h004;
  localparam logic [11:0] MapHashOffset = 12'h008;
  localparam logic [11:0] ParamOffset = 12'h00c;
  localparam int unsigned ParamRamWordsLog2Lsb = 0;
  localparam int unsigned ParamCoreLsb = 8;
  localparam int unsigned ParamPortBytesLsb = 16;
  localparam logic [11:0] ControlOffset = 12'h010;
  localparam logic [31:0] ControlBits = 32'h00000001;
  localparam int unsigned ControlRunLsb = 0;
  localparam logic [11:0] StatusOffset = 12'h014;
  localparam int unsigned StatusRunningLsb = 0;
  localparam int unsigned StatusJobLsb = 1;
  localparam int unsigned StatusUnitIrqLsb = 2;
  localparam int unsigned StatusVectorIrqLsb = 3;
  localparam logic [11:0] IrqStatusOffset = 12'h018;
  localparam logic [31:0] IrqStatusBits = 32'h0000000f;
  localparam int unsigned IrqStatusDoneLsb = 0;
  localparam int unsigned IrqStatusBadAccessLsb = 1;
  localparam int unsigned IrqStatusMemoryFaultLsb = 2;
  localparam int unsigned IrqStatusCoreFaultLsb = 3;
  localparam logic [11:0] WindowOffset = 12'h01c;
  localparam logic [31:0] WindowBits = 32'h000003ff;
  localparam logic [11:0] RamAddrOffset = 12'h020;
  localparam logic [11:0] RamDataOffset = 12'h024;
  localparam logic [11:0] JobOffset = 12'h028;
  localparam logic [11:0] ResultOffset = 12'h02c;
  localparam logic [11:0] TrapCauseOffset = 12'h030;
  localparam logic [11:0] TrapPcOffset = 12'h034;
  localparam logic [11:0] TrapValueOffset = 12'h038;
  localparam logic [11:0] FaultAddrOffset = 12'h03c;
  localparam logic [11:0] CycleLoOffset = 12'h040;
  localparam logic [11:0] CycleHiOffset = 12'h044;
endpackage
