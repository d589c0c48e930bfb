// What make_filters has made of rules.hpp for this processor.
#pragma once

#include <linux/filter.h>

#include <span>
#include <string_view>

#include "vmm/sandbox/sandbox.hpp"

namespace vmm::sandbox {

/// The program that the kernel runs at each system call of a thread of this kind.
std::span<const sock_filter> filter_of(ThreadKind kind);

/// A system call's name; "system call" if it has none here. May be called in a signal handler.
std::string_view call_name(int number);

constexpr const char* name_of(ThreadKind kind) {
  constexpr const char* kNames[kThreadKinds] = {"main", "machine", "vcpu", "control", "output", "npu"};
  return kNames[static_cast<unsigned>(kind)];
}

}  // namespace vmm::sandbox
