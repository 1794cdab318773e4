"""Tests of the unit with independent bus models.

This file makes memory images, descriptors and register addresses from docs/memory-image.md and docs/registers.md, and
compares results with plain sums. It shares nothing with the driver in Rust or with golden.
"""

import os
import random
import re
import struct
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiRamRead, AxiReadBus
from cocotbext.axi.sparse_memory import SparseMemory

PORT_BYTES, TOKENS = 8, 2
RING, X, W, Y = 0x12_3450_0000, 0x23_0000_1000, 0x34_0008_0FC0, 0x45_0000_0FC0
DOCS = Path(os.environ["TMV_DOCS"])
TEXT = (DOCS / "registers.md").read_text()
REGISTERS = {name: int(offset, 16) for offset, name in re.findall(r"(?m)^\| (0x\w{3}) \| `(\w+)`", TEXT)}
ERRORS = {name: int(code) for code, name in re.findall(r"(?m)^\| (\d+) \| `(\w+)` \|", TEXT.split("## Error codes")[1])}
DONE, ERROR = 1, 2  # in IRQ_ENABLE and IRQ_STATUS


def weights_2b(row):
    """32 weights in two planes: not zero, negative."""
    not_zero = sum((weight != 0) << lane for lane, weight in enumerate(row))
    return struct.pack("<II", not_zero, sum((weight < 0) << lane for lane, weight in enumerate(row)))


def weights_base3(row):
    """40 weights, five a byte, the first in the lowest digit."""
    return bytes(sum((row[5 * i + j] + 1) * 3**j for j in range(5)) for i in range(8))


LANES, ENCODE = {"0": (32, weights_2b), "1": (40, weights_base3)}[os.environ["TMV_CODEC"]]


class Operator:
    """A random matrix, [rows, cols]; its image is at `address`, its results go to `results`."""

    def __init__(self, rng, rows, cols, address, results):
        self.matrix = [[rng.choice([-1, 0, 1]) for _ in range(cols)] for _ in range(rows)]
        self.matrix[0] = [-1] * cols
        self.rows, self.cols, self.address, self.results = rows, cols, address, results
        self.row_beats, self.blocks = -(-cols // LANES), -(-rows // 8)
        self.stride = 8 * self.row_beats * PORT_BYTES + 64  # with a gap

    def write(self, ram):
        padded = [row + [0] * (self.row_beats * LANES - self.cols) for row in self.matrix]
        padded += [[0] * (self.row_beats * LANES)] * (self.blocks * 8 - self.rows)
        for block in range(self.blocks):
            rows = padded[8 * block : 8 * block + 8]
            beats = [ENCODE(row[LANES * b : LANES * (b + 1)]) for b in range(self.row_beats) for row in rows]
            ram.write(self.address + block * self.stride, b"".join(beats))

    def descriptor(self, x_stride, opcode=0xB1, keep_x=False, irq=False):
        flags = (1 if keep_x else 0) | (2 if irq else 0)
        words = [opcode << 24 | TOKENS << 8 | flags, self.row_beats << 16 | self.cols, self.rows, 0]
        for address in (X, self.address, self.results):
            words += [address & 0xFFFFFFFF, address >> 32]
        return struct.pack("<16I", *words, x_stride, self.stride, 0, 0, 0, 0)

    def check(self, ram, x):
        for row, weights in enumerate(self.matrix):
            for token in range(TOKENS):
                place = self.results + ((row // 8 * TOKENS + token) * 8 + row % 8) * 4
                (found,) = struct.unpack("<i", ram.read(place, 4))
                expected = sum(w * a for w, a in zip(weights, x[token], strict=True))
                assert found == expected, f"row {row} of token {token}: expected {expected}, found {found}"


class Bench:
    def __init__(self, dut, seed):
        self.dut, self.rng = dut, random.Random(seed)
        cocotb.start_soon(Clock(dut.clk_i, 4, unit="ns").start())
        reset = {"reset": dut.rst_ni, "reset_active_level": False}
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, **reset)
        memory = SparseMemory(2**40)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi_hp0"), dut.clk_i, **reset, size=2**40, mem=memory)
        other = AxiRamRead(AxiReadBus.from_prefix(dut, "m_axi_hp1"), dut.clk_i, **reset, size=2**40, mem=memory)
        write, read = self.control.write_if, self.control.read_if
        self.channels = [write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]
        write = self.ram.write_if
        self.channels += [write.aw_channel, write.w_channel, write.b_channel]
        for read in (self.ram.read_if, other):
            self.channels += [read.ar_channel, read.r_channel]

    def pause(self, chance):
        """Every channel pauses in `chance` of 100 cycles."""

        def pauses(rng):
            while True:
                yield rng.randrange(100) < chance

        for channel in self.channels:
            channel.set_pause_generator(pauses(random.Random(self.rng.random())))

    async def reset(self):
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, 4)
        self.dut.rst_ni.value = 1
        await ClockCycles(self.dut.clk_i, 2)

    async def get(self, name):
        return await self.control.read_dword(REGISTERS[name])

    async def set(self, name, value):
        await self.control.write_dword(REGISTERS[name], value)

    async def setup(self):
        assert await self.get("ID") == 0x544D5631
        codec = int(os.environ["TMV_CODEC"])
        assert await self.get("PARAM0") == codec << 24 | 1 << 20 | 2 << 16 | PORT_BYTES << 8 | 2
        await self.set("IRQ_ENABLE", DONE | ERROR)
        await self.set("RING_BASE_LO", RING & 0xFFFFFFFF)
        await self.set("RING_BASE_HI", RING >> 32)
        await self.set("RING_LOG2", 2)

    async def interrupt(self):
        """Waits for the interrupt, clears it, and returns its sources."""
        if not self.dut.irq_o.value:
            await RisingEdge(self.dut.irq_o)
        sources = await self.get("IRQ_STATUS")
        await self.set("IRQ_STATUS", sources)
        await ClockCycles(self.dut.clk_i, 2)
        assert not self.dut.irq_o.value, "the interrupt stays"
        return sources

    async def run(self, cols, rows):
        """Two operators on the same activations; the second keeps them."""
        x = [[self.rng.randrange(-128, 128) for _ in range(cols)] for _ in range(TOKENS)]
        x[0][:2] = [-128, 127]
        x_stride = (-(-cols // LANES) * LANES + 63) // 64 * 64
        for token, row in enumerate(x):
            self.ram.write(X + token * x_stride, struct.pack(f"<{cols}b", *row).ljust(x_stride, b"\0"))
        operators = [Operator(self.rng, n, cols, W + i * 0x100000, Y + i * 0x100000) for i, n in enumerate(rows)]
        for i, operator in enumerate(operators):
            operator.write(self.ram)
            last = i + 1 == len(rows)
            self.ram.write(RING + 64 * i, operator.descriptor(x_stride, keep_x=i > 0, irq=last))
        await self.set("RING_TAIL", len(operators))
        assert await self.interrupt() == DONE
        assert await self.get("RING_HEAD") == len(operators)
        assert await self.get("ERROR") == 0
        for i, operator in enumerate(operators):
            status, start, end, tag = struct.unpack("<4I", self.ram.read(RING + 64 * i + 48, 16))
            assert status >> 31 == 1 and tag == i and start < end, (i, hex(status), start, end, tag)
            operator.check(self.ram, x)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def operators(dut):
    """Results are right with channels that never pause, pause sometimes, and pause mostly."""
    for chance in (0, 20, 70):
        bench = Bench(dut, chance) if chance == 0 else bench
        bench.pause(chance)
        await bench.reset()
        await bench.setup()
        await bench.run(100, [21, 1])


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def bad_descriptor(dut):
    """ERROR names a bad descriptor and its address. After a soft reset the unit works."""
    bench = Bench(dut, 3)
    bench.pause(20)
    await bench.reset()
    await bench.setup()
    operator = Operator(bench.rng, 8, 8, W, Y)
    bench.ram.write(RING, operator.descriptor(64, opcode=0xB0, irq=True))
    await bench.set("RING_TAIL", 1)
    assert await bench.interrupt() == ERROR
    error = await bench.get("ERROR")
    assert error == 15 << 8 | ERRORS["BAD_DESCRIPTOR"], hex(error)
    assert await bench.get("ERROR_ADDR_LO") == RING & 0xFFFFFFFF
    assert await bench.get("ERROR_ADDR_HI") == RING >> 32
    await bench.set("CONTROL", 1)
    while await bench.get("STATUS"):
        pass
    assert await bench.get("ERROR") == ERRORS["NONE"]
    await bench.run(70, [9, 16])
