// The C interface of a model, which `ffi.rs` loads. shim.cpp implements it for models by Verilator, and cxxrtl.cpp for
// models by CXXRTL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define TMV_API extern "C" __attribute__((visibility("default")))

enum TmvStatus : int32_t { TMV_RUNNING = 0, TMV_FAILED = 1, TMV_FINISHED = 2 };

struct TmvPort {
    const char* name;
    uint32_t width;      // bits
    uint32_t storage;    // bytes
    uint32_t direction;  // 0 input, 1 output, 2 both
    void* data;
};

// A 64-bit word, by its offset in bytes from what `tmv_state` returns, and some of its bits.
struct TmvWatch {
    uint64_t offset;
    uint64_t mask;
};

struct Tmv;

// The version of this interface, which tmv_abi returns.
constexpr uint32_t TMV_ABI = 4;

// No function lets a C++ exception out. A simulation goes on if its waveform cannot be written; tmv_trace_close tells.

TMV_API uint32_t tmv_abi();

TMV_API Tmv* tmv_new(int32_t rand_reset, int32_t seed, int32_t keep_log);
TMV_API void tmv_free(Tmv* self);
// Writes up to `capacity` ports to `out`. Returns the number of all ports.
TMV_API uint32_t tmv_ports(Tmv* self, TmvPort* out, uint32_t capacity);
// Returns the memory that holds the values of all ports, and sets its size in bytes.
TMV_API void* tmv_state(Tmv* self, size_t* size);
TMV_API void tmv_set_clock(Tmv* self, void* clock);

// These functions return a TmvStatus.
TMV_API int32_t tmv_eval(Tmv* self);
TMV_API int32_t tmv_cycle(Tmv* self);
// Runs up to `most` cycles; ends after a cycle in which a watched bit is set. Sets the number of complete cycles.
TMV_API int32_t tmv_cycles(Tmv* self, uint64_t most, const TmvWatch* watches, uint32_t count, uint64_t* cycles);
TMV_API int32_t tmv_final(Tmv* self);

TMV_API const char* tmv_message(const Tmv* self, size_t* length);
TMV_API const char* tmv_log(const Tmv* self, size_t* length);
TMV_API void tmv_clear_log(Tmv* self);

// These functions return 0 (done), 1 (not built in) or 2 (the file cannot be written).
TMV_API int32_t tmv_trace_open(Tmv* self, const char* path, uint64_t from, uint64_t to);
TMV_API int32_t tmv_trace_close(Tmv* self);
TMV_API int32_t tmv_write_coverage(Tmv* self, const char* path);
// From now on, the counters of all instances are added up, and written to this file when the process ends.
TMV_API int32_t tmv_collect_coverage(const char* path);

// Whether a watched bit is set in the state of a model.
inline bool tmv_watched(const void* state, const TmvWatch* watches, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t word;
        std::memcpy(&word, static_cast<const char*>(state) + watches[i].offset, sizeof word);
        if (word & watches[i].mask) return true;
    }
    return false;
}

// tmv_cycles, for a model of any simulator.
template <class Model>
int32_t tmv_repeat(Model* self, const void* state, uint64_t most, const TmvWatch* watches, uint32_t count, uint64_t* cycles) {
    *cycles = 0;
    return self->run([=] {
        while (*cycles < most) {
            self->cycle_once();
            if (self->status != TMV_RUNNING) return;
            ++*cycles;
            if (tmv_watched(state, watches, count)) return;
        }
    });
}
