// Comes before the header of this name in Verilator's FST writer, whose checks print and abort. The writer looks at its
// file only through these checks, so one of them fails if the disk is full: they throw instead, and the shim catches.
#pragma once

#include_next "fstcpp/fstcpp_assertion.h"

#include <stdexcept>

#undef FST_CHECK
#undef FST_CHECK_EQ
#undef FST_CHECK_NE
#undef FST_CHECK_GT
#undef FST_CHECK_GE
#undef FST_CHECK_LT
#undef FST_CHECK_LE
#define FST_CHECK(a) ((a) ? void() : throw std::runtime_error("the waveform cannot be written: " #a))
#define FST_CHECK_EQ(a, b) FST_CHECK((a) == (b))
#define FST_CHECK_NE(a, b) FST_CHECK((a) != (b))
#define FST_CHECK_GT(a, b) FST_CHECK((a) > (b))
#define FST_CHECK_GE(a, b) FST_CHECK((a) >= (b))
#define FST_CHECK_LT(a, b) FST_CHECK((a) < (b))
#define FST_CHECK_LE(a, b) FST_CHECK((a) <= (b))
