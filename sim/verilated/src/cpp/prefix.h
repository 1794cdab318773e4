// Included at the beginning of every translation unit of runtime, model and shim.
#pragma once

// Everything that the model prints goes to the instance that is running.
int tmv_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF tmv_printf

// Whether a model that is being constructed registers the names of its coverage counters.
extern thread_local bool tmv_name_counters;

#include "verilated.h"

#include <cstring>

// Verilator counts ones by shifting and masking. These functions use the instruction of the processor instead.
static inline IData tmv_countones_w(int words, WDataInP const lwp) {
    IData ones = 0;
    int i = 0;
    for (; i + 2 <= words; i += 2) {
        QData pair;
        std::memcpy(&pair, &lwp[i], sizeof pair);
        ones += static_cast<IData>(__builtin_popcountll(pair));
    }
    if (i < words) ones += static_cast<IData>(__builtin_popcount(lwp[i]));
    return ones;
}
#define VL_COUNTONES_I(x) static_cast<IData>(__builtin_popcount(x))
#define VL_COUNTONES_Q(x) static_cast<IData>(__builtin_popcountll(x))
#define VL_COUNTONES_W(words, lwp) tmv_countones_w(words, lwp)

#if VM_COVERAGE
#include "verilated_cov.h"

// Replaces Verilator's function, which also counts the changes of a word for the words above it, because its inner loop
// does not end at the end of the word. Seen in 5.048.
static inline void tmv_toggle_w(const int width, uint32_t* counters, WDataInP now, WDataInP before) {
    for (int bit = 0; bit < width; bit += VL_EDATASIZE) {
        const EData word = now[bit / VL_EDATASIZE];
        for (EData changed = word ^ before[bit / VL_EDATASIZE]; changed; changed &= changed - 1) {
            const int at = __builtin_ctz(changed);
            if (bit + at < width) ++counters[2 * (bit + at) + (word >> at & 1)];
        }
    }
}
#define VL_COV_TOGGLE_CHG_ST_W(width, counters, now, before) tmv_toggle_w(width, counters, now, before)
#endif
