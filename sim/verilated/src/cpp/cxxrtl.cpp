// The C interface (face.h) of one model by CXXRTL. `cxxrtl.rs` generates `ports.inc` from the model's source.
#include <stdexcept>

// By default these checks of the RTL abort.
#define CXXRTL_ASSERT(x) ((x) ? void() : throw std::runtime_error("a check of CXXRTL failed: " #x))
#include "model.cc"

#include "face.h"

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

struct Tmv : cxxrtl::performer {
    cxxrtl_design::TMV_TOP model;
    // Every port begins at a word of its own. Bits above the width of the port are zero.
    std::vector<uint64_t> state;
    std::vector<TmvPort> ports;
    std::vector<cxxrtl::chunk_t*> fields;
    uint64_t* clock = nullptr;
    int32_t status = TMV_RUNNING;
    std::string message;

    template <size_t Bits> void add(const char* name, cxxrtl::value<Bits>& field, uint32_t direction) {
        const uint32_t words = (Bits + 63) / 64;
        ports.push_back({name, Bits, words * 8, direction, reinterpret_cast<void*>(state.size())});
        fields.push_back(field.data);
        state.resize(state.size() + words);
    }

    template <size_t Bits> void add(const char* name, cxxrtl::wire<Bits>& field, uint32_t direction) {
        add(name, field.curr, direction);
    }

    Tmv() {
#define TMV_PORT(name, field, direction) add(name, model.field, direction);
#include "ports.inc"
#undef TMV_PORT
        for (TmvPort& port : ports) port.data = &state[reinterpret_cast<size_t>(port.data)];
    }

    // Sets the power-up value of state that has no initial value, or an initial value of zero. `reset` is 0 for zeros,
    // 1 for ones, 2 for random bits.
    void power_up(int32_t reset, int32_t seed) {
        if (reset == 0) return;
        std::mt19937 random(static_cast<uint32_t>(seed));
        cxxrtl::debug_items items;
        model.debug_info(&items, nullptr, "");
        for (auto& [path, parts] : items.table) {
            for (cxxrtl::debug_item& item : parts) {
                if (item.type != cxxrtl::debug_item::WIRE && item.type != cxxrtl::debug_item::MEMORY) continue;
                const size_t chunks = (item.width + 31) / 32, all = chunks * item.depth;
                bool initial = false;
                for (size_t i = 0; i < all; ++i) initial |= item.curr[i] != 0;
                if (initial) continue;
                const uint32_t top = UINT32_MAX >> (chunks * 32 - item.width);
                for (size_t i = 0; i < all; ++i) {
                    const uint32_t bits = reset == 1 ? UINT32_MAX : static_cast<uint32_t>(random());
                    item.curr[i] = i % chunks == chunks - 1 ? bits & top : bits;
                    if (item.next) item.next[i] = item.curr[i];
                }
            }
        }
    }

    void on_check(cxxrtl::flavor, bool holds, const cxxrtl::lazy_fmt&, const cxxrtl::metadata_map&) override {
        if (holds || status != TMV_RUNNING) return;
        status = TMV_FAILED;
        message = "an assertion of the RTL is violated; CXXRTL does not know which, Verilator does";
    }

    void on_print(const cxxrtl::lazy_fmt&, const cxxrtl::metadata_map&) override {}

    // Runs `body`, which evaluates the model.
    template <class Body> int32_t run(Body body) {
        if (status != TMV_RUNNING) return status;
        try {
            body();
        } catch (const std::exception& error) {
            fail(error.what());
        } catch (...) {
            fail("unknown C++ exception");
        }
        return status;
    }

    void fail(const char* text) {
        status = TMV_FAILED;
        message = text;
    }

    void step() {
        for (size_t i = 0; i < ports.size(); ++i) {
            if (ports[i].direction != 1) std::memcpy(fields[i], ports[i].data, (ports[i].width + 31) / 32 * 4);
        }
        model.step(this);
    }

    void show() {
        for (size_t i = 0; i < ports.size(); ++i) {
            if (ports[i].direction == 1) std::memcpy(ports[i].data, fields[i], (ports[i].width + 31) / 32 * 4);
        }
    }

    void cycle_once() {
        *clock = 1;
        step();
        // After the evaluation of the edge, outputs show values before the edge. The evaluation of the low half brings
        // them to the values after the edge.
        *clock = 0;
        step();
        show();
    }
};

TMV_API uint32_t tmv_abi() { return TMV_ABI; }

TMV_API Tmv* tmv_new(int32_t rand_reset, int32_t seed, int32_t) {
    try {
        auto self = std::make_unique<Tmv>();
        self->power_up(rand_reset, seed);
        return self.release();
    } catch (...) {
        return nullptr;
    }
}

TMV_API uint32_t tmv_ports(Tmv* self, TmvPort* out, uint32_t capacity) {
    for (uint32_t i = 0; i < self->ports.size() && i < capacity; ++i) out[i] = self->ports[i];
    return static_cast<uint32_t>(self->ports.size());
}

TMV_API void* tmv_state(Tmv* self, size_t* size) {
    *size = self->state.size() * sizeof self->state[0];
    return self->state.data();
}

TMV_API void tmv_set_clock(Tmv* self, void* clock) { self->clock = static_cast<uint64_t*>(clock); }

TMV_API int32_t tmv_eval(Tmv* self) {
    return self->run([=] {
        self->step();
        self->show();
    });
}

TMV_API int32_t tmv_cycle(Tmv* self) {
    return self->run([=] { self->cycle_once(); });
}

TMV_API int32_t tmv_cycles(Tmv* self, uint64_t most, const TmvWatch* watches, uint32_t count, uint64_t* cycles) {
    return tmv_repeat(self, self->state.data(), most, watches, count, cycles);
}

TMV_API int32_t tmv_final(Tmv* self) { return self->status; }

TMV_API const char* tmv_message(const Tmv* self, size_t* length) {
    *length = self->message.size();
    return self->message.data();
}

TMV_API const char* tmv_log(const Tmv*, size_t* length) {
    *length = 0;
    return "";
}

TMV_API void tmv_clear_log(Tmv*) {}

TMV_API int32_t tmv_trace_open(Tmv*, const char*, uint64_t, uint64_t) { return 1; }

TMV_API int32_t tmv_trace_close(Tmv*) { return 1; }

TMV_API int32_t tmv_write_coverage(Tmv*, const char*) { return 1; }

TMV_API int32_t tmv_collect_coverage(const char*) { return 1; }

TMV_API void tmv_free(Tmv* self) { delete self; }
