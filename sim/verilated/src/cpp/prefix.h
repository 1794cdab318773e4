// Included ahead of every translation unit: runtime, model and shim.
#pragma once

// Everything the model prints goes to the instance that is running.
int tmv_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define VL_PRINTF tmv_printf

// Whether a model that is made tells the names of its coverage counters.
extern thread_local bool tmv_name_counters;

#include "verilated.h"

#include <cstring>

// Verilator counts ones by shifting and masking; processors have an instruction for it.
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

// Verilator's own lets the changes of a word count for the words above it as well: its inner loop does not end with the
// word. Seen in 5.048.
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
