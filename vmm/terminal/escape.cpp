#include "vmm/terminal/escape.hpp"

namespace vmm {
namespace {

constexpr char kLeave = '\x1d';   // Ctrl-]
constexpr char kPrefix = '\x01';  // Ctrl-A

}  // namespace

EscapeFilter::Typed EscapeFilter::feed(std::string_view bytes) {
  Typed typed;
  for (const char c : bytes) {
    if (after_prefix_) {
      after_prefix_ = false;
      if (c == 'x' || c == 'X') {
        typed.leave = true;
        return typed;
      }
      typed.bytes.push_back(kPrefix);
      if (c == kPrefix) continue;
    } else if (c == kPrefix) {
      after_prefix_ = true;
      continue;
    }
    if (c == kLeave) {
      typed.leave = true;
      return typed;
    }
    typed.bytes.push_back(c);
  }
  return typed;
}

}  // namespace vmm
