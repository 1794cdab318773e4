// The C interface (face.h) of one model by Verilator. `shim.rs` generates `ports.inc` and `clock.inc` from its code.
#include "Vtmv.h"
#include "Vtmv___024root.h"
#include "clock.inc"
#include "face.h"
#include "hooks.h"

#include <exception>
#include <memory>

#if VM_COVERAGE
#include "Vtmv__Syms.h"
#include "verilated_cov.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#endif
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using TmvTrace = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using TmvTrace = VerilatedVcdC;
#endif

#if VM_COVERAGE
// It takes longer to name every counter than to run most tests. So a model names its counters only when counters are
// written, see `shim.rs`.
thread_local bool tmv_name_counters = false;

using TmvCounters = decltype(Vtmv__Syms::__Vcoverage);

static int32_t tmv_write_counters(const char* path, const TmvCounters& counters) {
    int32_t code = 0;
    try {
        VerilatedContext context;
        Verilated::threadContextp(&context);
        tmv_name_counters = true;
        Vtmv model{&context, "TOP"};
        std::copy(std::begin(counters), std::end(counters), model.rootp->vlSymsp->__Vcoverage);
        context.coveragep()->write(path);
    } catch (...) {
        code = 2;
    }
    tmv_name_counters = false;
    tmv_current = nullptr;
    Verilated::threadContextp(nullptr);
    return code;
}

// The sums of the counters of all instances. They are written when the library is unloaded or the process ends.
static struct TmvCollected {
    std::mutex mutex;
    std::string path;
    TmvCounters counters = {};

    void add(const TmvCounters& more) {
        const std::lock_guard<std::mutex> lock{mutex};
        for (size_t i = 0; i < std::size(more); ++i) {
            counters[i] = more[i] > ~counters[i] ? ~uint32_t{0} : counters[i] + more[i];
        }
    }
    ~TmvCollected() {
        if (!path.empty()) tmv_write_counters(path.c_str(), counters);
    }
} tmv_collected;
#endif

struct Tmv : TmvInstance {
    VerilatedContext context;
    std::unique_ptr<Vtmv> model;
    CData* clock = nullptr;
    bool settled = false;  // the initial blocks have run
#if VM_TRACE
    uint64_t cycle = 0, trace_from = 0, trace_to = 0;
    std::unique_ptr<TmvTrace> trace;
    bool trace_failed = false;
#endif

    void enter() {
        if (tmv_current == this) return;
        tmv_current = this;
        Verilated::threadContextp(&context);  // also writes a global, so it is not called in every cycle
    }

    template <class Body> int32_t run(Body body) {
        if (status != TMV_RUNNING) return status;
        enter();
        try {
            body();
        } catch (const TmvStop&) {
        } catch (const std::exception& error) {
            fail(error.what());
        } catch (...) {
            fail("unknown C++ exception");
        }
        return status;
    }

    void fail(const char* text) {
        if (status == TMV_RUNNING) message = text;
        status = TMV_FAILED;
    }

    void dump() {
#if VM_TRACE
        if (trace && cycle >= trace_from && cycle < trace_to) write([this] { trace->dump(context.time()); });
#endif
    }

#if VM_TRACE
    // Runs `body`, which writes to the waveform. If that fails, there is no more waveform. Its object is then never
    // destroyed, because its destructor would write again.
    template <class Body> void write(Body body) {
        tracing = true;
        try {
            body();
        } catch (...) {
            (void)trace.release();
            trace_failed = true;
        }
        tracing = false;
    }

    void close_trace() {
        write([this] {
            if (trace) trace->close();
            trace.reset();
        });
    }
#endif

    void eval() {
        model->eval();
        settled = true;
    }

    void half(CData level) {
        *clock = level;
        eval();
        dump();
        context.timeInc(1);
    }

    void cycle_once() {
#if defined(TMV_PREVIOUS) && !VM_TRACE
        // This model reacts only to rising edges, so an edge without a low half saves an evaluation.
        // The first evaluation runs the initial blocks and sees no edge, whatever the level of the clock.
        if (settled && clock == &model->TMV_CLOCK) {
            model->rootp->TMV_PREVIOUS = 0;
            *clock = 1;
            eval();
            context.timeInc(2);
            return;
        }
#endif
        // The low half settles the logic that depends on the inputs, so that the edge and assertions sample its result.
        half(0);
        half(1);
#if VM_TRACE
        if (++cycle == trace_to) close_trace();
#endif
    }
};

TMV_API uint32_t tmv_abi() { return TMV_ABI; }

TMV_API Tmv* tmv_new(int32_t rand_reset, int32_t seed, int32_t keep_log) {
    std::unique_ptr<Tmv> self;
    try {
        self = std::make_unique<Tmv>();
    } catch (...) {
        return nullptr;
    }
    self->keep_log = keep_log != 0;
    self->run([&] {
        self->context.quiet(true);
        self->context.fatalOnError(false);
        // With toggle counters, a change away from a random power-up value must not be counted.
        self->context.randReset(VM_COVERAGE ? 0 : rand_reset);
        self->context.randSeed(seed);
#if VM_TRACE
        self->context.traceEverOn(true);
#endif
        self->model = std::make_unique<Vtmv>(&self->context, "TOP");
#if VM_COVERAGE
        auto& counters = self->model->rootp->vlSymsp->__Vcoverage;
        std::fill(std::begin(counters), std::end(counters), 0);
#endif
    });
    return self->model ? self.release() : nullptr;
}

TMV_API uint32_t tmv_ports(Tmv* self, TmvPort* out, uint32_t capacity) {
    Vtmv* const m = self->model.get();
    const TmvPort ports[] = {
#define TMV_PORT(name, field, width, direction) {name, width, sizeof(m->field), direction, &m->field},
#include "ports.inc"
#undef TMV_PORT
        {nullptr, 0, 0, 0, nullptr}};
    const uint32_t count = sizeof ports / sizeof ports[0] - 1;
    for (uint32_t i = 0; i < count && i < capacity; ++i) out[i] = ports[i];
    return count;
}

TMV_API void* tmv_state(Tmv* self, size_t* size) {
    *size = sizeof *self->model->rootp;
    return self->model->rootp;
}

TMV_API void tmv_set_clock(Tmv* self, void* clock) { self->clock = static_cast<CData*>(clock); }

TMV_API int32_t tmv_eval(Tmv* self) {
    return self->run([=] { self->eval(); });
}

TMV_API int32_t tmv_cycle(Tmv* self) {
    return self->run([=] { self->cycle_once(); });
}

TMV_API int32_t tmv_cycles(Tmv* self, uint64_t most, const TmvWatch* watches, uint32_t count, uint64_t* cycles) {
    return tmv_repeat(self, self->model->rootp, most, watches, count, cycles);
}

TMV_API int32_t tmv_final(Tmv* self) {
    return self->run([=] { self->model->final(); });
}

TMV_API const char* tmv_message(const Tmv* self, size_t* length) {
    *length = self->message.size();
    return self->message.data();
}

TMV_API const char* tmv_log(const Tmv* self, size_t* length) {
    *length = self->log.size();
    return self->log.data();
}

TMV_API void tmv_clear_log(Tmv* self) { self->log.clear(); }

TMV_API int32_t tmv_trace_open(Tmv* self, const char* path, uint64_t from, uint64_t to) {
#if VM_TRACE
    self->enter();
    self->close_trace();
    self->trace_failed = false;
    self->write([=] {
        self->trace = std::make_unique<TmvTrace>();
        self->model->trace(self->trace.get(), 99);
        self->trace->open(path);
        if (!self->trace->isOpen()) throw TmvStop{};
    });
    self->trace_from = from;
    self->trace_to = to;
    return self->trace_failed ? 2 : 0;
#else
    (void)self, (void)path, (void)from, (void)to;
    return 1;
#endif
}

TMV_API int32_t tmv_trace_close(Tmv* self) {
#if VM_TRACE
    self->enter();
    self->close_trace();
    return self->trace_failed ? 2 : 0;
#else
    (void)self;
    return 1;
#endif
}

TMV_API int32_t tmv_write_coverage(Tmv* self, const char* path) {
#if VM_COVERAGE
    return tmv_write_counters(path, self->model->rootp->vlSymsp->__Vcoverage);
#else
    (void)self, (void)path;
    return 1;
#endif
}

TMV_API int32_t tmv_collect_coverage(const char* path) {
#if VM_COVERAGE
    try {
        const std::lock_guard<std::mutex> lock{tmv_collected.mutex};
        tmv_collected.path = path;
    } catch (...) {
        return 2;
    }
    return 0;
#else
    (void)path;
    return 1;
#endif
}

TMV_API void tmv_free(Tmv* self) {
    self->enter();
#if VM_TRACE
    self->close_trace();
#endif
    try {
#if VM_COVERAGE
        tmv_collected.add(self->model->rootp->vlSymsp->__Vcoverage);
#endif
        self->model.reset();
        tmv_current = nullptr;
        delete self;
    } catch (...) {
        // The rest of the instance stays in memory.
    }
    tmv_current = nullptr;
    Verilated::threadContextp(nullptr);
}
