// The two functions of liblz4 that Verilator's FST writer calls, so that tracing needs no system package.
// Blocks follow the LZ4 block format. Matches are found greedily, with a hash of four bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

namespace tmv_lz4 {
inline void length(uint8_t*& out, int rest) {
    for (; rest >= 255; rest -= 255) *out++ = 255;
    *out++ = static_cast<uint8_t>(rest);
}
inline void sequence(uint8_t*& out, const uint8_t* literals, int count, int offset, int match) {
    uint8_t* const token = out++;
    *token = static_cast<uint8_t>((count < 15 ? count : 15) << 4);
    if (count >= 15) length(out, count - 15);
    if (count) std::memcpy(out, literals, static_cast<size_t>(count));
    out += count;
    if (!match) return;
    *out++ = static_cast<uint8_t>(offset);
    *out++ = static_cast<uint8_t>(offset >> 8);
    *token |= static_cast<uint8_t>(match - 4 < 15 ? match - 4 : 15);
    if (match - 4 >= 15) length(out, match - 19);
}
}  // namespace tmv_lz4

static inline int LZ4_compress_default(const char* source, char* target, int size, int) {
    const uint8_t* const in = reinterpret_cast<const uint8_t*>(source);
    uint8_t* out = reinterpret_cast<uint8_t*>(target);
    std::vector<int> seen(1 << 13, -1);
    int literal = 0;  // start of the literals that are not written yet
    // The format requires the last match to start at least 12 bytes, and to end at least 5 bytes, before the end.
    for (int at = 0; at + 12 < size;) {
        uint32_t word;
        std::memcpy(&word, in + at, 4);
        int& slot = seen[(word * 2654435761U) >> 19];
        const int from = slot;
        slot = at;
        if (from < 0 || at - from > 65535 || std::memcmp(in + from, in + at, 4) != 0) {
            ++at;
            continue;
        }
        int match = 4;
        while (at + match < size - 5 && in[from + match] == in[at + match]) ++match;
        tmv_lz4::sequence(out, in + literal, at - literal, at - from, match);
        at += match;
        literal = at;
    }
    tmv_lz4::sequence(out, in + literal, size - literal, 0, 0);
    return static_cast<int>(out - reinterpret_cast<uint8_t*>(target));
}
