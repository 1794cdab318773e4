// The part of a model instance that the runtime hooks in hooks.cpp use.
#pragma once

#include "face.h"

#include <string>

struct TmvInstance {
    int32_t status = TMV_RUNNING;
    std::string message;  // "file:line: text" of the first failure
    std::string log;      // what the model printed; the oldest text is dropped
    std::string pending;  // the last printed "%Error" text, until its $stop follows
    bool keep_log = false;
    bool tracing = false;  // the waveform is being written: a fatal error is one of its file, not of the model
};

struct TmvStop {};  // thrown by a fatal error, caught in the shim

// The instance that is evaluating on this thread.
extern thread_local TmvInstance* tmv_current;
