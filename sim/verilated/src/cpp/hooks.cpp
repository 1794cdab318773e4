// The hooks of Verilator for print, stop, fatal and finish. They store their results in the instance that is
// evaluating.
#include "hooks.h"

#include "verilated.h"

#include <cstdarg>
#include <cstdio>

thread_local TmvInstance* tmv_current = nullptr;

static constexpr size_t LOG_LIMIT = 1 << 20;

int tmv_printf(const char* format, ...) {
    TmvInstance* const self = tmv_current;
    if (!self) return 0;
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int length = std::vsnprintf(nullptr, 0, format, args);
    va_end(args);
    std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
    if (length > 0) std::vsnprintf(&text[0], text.size() + 1, format, again);
    va_end(again);
    if (text.find("%Error") != std::string::npos || text.find("%Fatal") != std::string::npos) {
        self->pending = text;
    }
    if (self->keep_log) {
        if (self->log.size() + text.size() > LOG_LIMIT) self->log.erase(0, self->log.size() / 2);
        self->log += text;
    }
    return length;
}

// "[12] %Error: file.sv:5: text\n" becomes "text". The caller has the full file name.
static std::string strip(std::string text) {
    const size_t mark = text.find('%');
    if (mark != std::string::npos) {
        size_t start = text.find(": ", mark);
        if (start != std::string::npos) {
            const size_t place = text.find(": ", start + 2);
            const size_t colon = text.rfind(':', place == std::string::npos ? place : place - 1);
            if (place != std::string::npos && colon != std::string::npos && colon > start
                && text.find_first_not_of("0123456789", colon + 1) == place) {
                start = place;
            }
            text.erase(0, start + 2);
        }
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

static void end(int32_t status, const char* filename, int line, const std::string& text) {
    TmvInstance* const self = tmv_current;
    if (!self || self->status != TMV_RUNNING) return;
    self->status = status;
    self->message.clear();
    if (filename && *filename) {
        self->message = std::string{filename} + ":" + std::to_string(line);
        if (!text.empty()) self->message += ": ";
    }
    self->message += text;
}

void vl_finish(const char* filename, int line, const char*) VL_MT_UNSAFE {
    end(TMV_FINISHED, filename, line, "");
}

void vl_stop(const char* filename, int line, const char*) VL_MT_UNSAFE {
    const bool said = tmv_current && !tmv_current->pending.empty();
    end(TMV_FAILED, filename, line, said ? strip(tmv_current->pending) : "$stop");
}

void vl_fatal(const char* filename, int line, const char*, const char* text) VL_MT_UNSAFE {
    if (!tmv_current || !tmv_current->tracing) end(TMV_FAILED, filename, line, text ? text : "fatal error");
    throw TmvStop{};  // Verilator's code requires that this call does not return
}
