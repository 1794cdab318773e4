// The two functions of zlib that Verilator's FST writer calls, so that tracing needs no system package.
// Data is stored, not compressed. The writer then keeps its own uncompressed copy, which is smaller.
#pragma once

#include <cstdint>
#include <cstring>

typedef unsigned long uLong;
typedef unsigned long uLongf;
typedef unsigned char Bytef;
#define Z_OK 0
#define Z_BUF_ERROR (-5)

static inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

static inline int compress2(Bytef* out, uLongf* capacity, const Bytef* in, uLong size, int) {
    if (*capacity < compressBound(size)) return Z_BUF_ERROR;
    Bytef* to = out;
    *to++ = 0x78;
    *to++ = 0x01;
    uint32_t low = 1, high = 0;
    for (uLong at = 0; at < size; ++at) {
        low = (low + in[at]) % 65521;
        high = (high + low) % 65521;
    }
    uLong at = 0;
    do {
        const uLong part = size - at < 65535 ? size - at : 65535;
        *to++ = at + part == size;  // 1 for the last block
        *to++ = static_cast<Bytef>(part);
        *to++ = static_cast<Bytef>(part >> 8);
        *to++ = static_cast<Bytef>(~part);
        *to++ = static_cast<Bytef>(~part >> 8);
        if (part) std::memcpy(to, in + at, part);
        to += part;
        at += part;
    } while (at < size);
    for (const uint32_t sum : {high, low}) {
        *to++ = static_cast<Bytef>(sum >> 8);
        *to++ = static_cast<Bytef>(sum);
    }
    *capacity = static_cast<uLongf>(to - out);
    return Z_OK;
}
