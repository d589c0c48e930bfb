#include "shorten.hpp"

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace vmm::sandbox {
namespace {

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;
constexpr std::uint16_t kAnd = BPF_ALU | BPF_AND | BPF_K;
constexpr std::uint16_t kJump = BPF_JMP | BPF_JA;
constexpr std::uint16_t kIfEqual = BPF_JMP | BPF_JEQ | BPF_K;
constexpr std::uint16_t kIfAnyBit = BPF_JMP | BPF_JSET | BPF_K;
constexpr std::uint16_t kReturn = BPF_RET | BPF_K;

/// An instruction that names the next ones by their indices: one by which it goes on, or two to choose from.
struct Step {
  std::uint16_t code;
  std::uint32_t k;
  std::size_t taken;
  std::size_t otherwise;
};
using Steps = std::vector<Step>;

bool is_choice(const Step& step) { return BPF_CLASS(step.code) == BPF_JMP && step.code != kJump; }

Steps steps_of(const std::vector<sock_filter>& program) {
  Steps steps;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    Step step{.code = one.code, .k = one.k, .taken = at + 1, .otherwise = at + 1};
    if (one.code == kJump) {
      step.taken = step.otherwise = at + 1 + one.k;
    } else if (is_choice(step)) {
      step.taken = at + 1 + one.jt;
      step.otherwise = at + 1 + one.jf;
    }
    steps.push_back(step);
  }
  return steps;
}

/// True if the accumulator is of no use to what begins there.
bool forgets(const Steps& steps, std::size_t at) {
  while (steps[at].code == kJump) at = steps[at].taken;
  return steps[at].code == kLoad || steps[at].code == kReturn;
}

/// Of `load; and MASK; if equal VALUE`, which is how libseccomp compares parts of an argument: nothing if the mask is
/// empty, as it is for the upper half of an int; else one comparison that does without the `and`, if there is one.
void simplify_test(Steps& steps, std::size_t load) {
  const std::size_t mask = load + 1;
  const std::size_t test = load + 2;
  if (test >= steps.size()) return;
  if (steps[load].code != kLoad || steps[mask].code != kAnd || steps[test].code != kIfEqual) return;
  const Step choice = steps[test];
  if (!forgets(steps, choice.taken) || !forgets(steps, choice.otherwise)) return;
  const std::uint32_t bits = steps[mask].k;
  if (bits == 0) {
    const std::size_t next = choice.k == 0 ? choice.taken : choice.otherwise;
    steps[load] = {.code = kJump, .k = 0, .taken = next, .otherwise = next};
  } else if (choice.k == 0) {
    steps[load].taken = steps[load].otherwise = test;
    steps[test] = {.code = kIfAnyBit, .k = bits, .taken = choice.otherwise, .otherwise = choice.taken};
  } else if (choice.k == bits && std::has_single_bit(bits)) {
    steps[load].taken = steps[load].otherwise = test;
    steps[test].code = kIfAnyBit;
  }
}

/// Past jumps, which are then of no use themselves.
void skip_jumps(Steps& steps) {
  const auto last = [&](std::size_t at) {
    while (steps[at].code == kJump) at = steps[at].taken;
    return at;
  };
  for (Step& step : steps) {
    if (step.code == kReturn) continue;
    step.taken = last(step.taken);
    step.otherwise = last(step.otherwise);
  }
}

std::vector<bool> reached(const Steps& steps) {
  std::vector<bool> reached(steps.size());
  reached[0] = true;
  // Jumps go forward only.
  for (std::size_t at = 0; at < steps.size(); ++at) {
    if (!reached[at] || steps[at].code == kReturn) continue;
    reached[steps[at].taken] = true;
    reached[steps[at].otherwise] = true;
  }
  return reached;
}

std::uint8_t distance(std::size_t from, std::size_t to) {
  const std::size_t between = to - from - 1;
  if (to <= from || between > UINT8_MAX) {
    std::fputs("make_filters: a jump of the filter is too long\n", stderr);
    std::exit(1);
  }
  return static_cast<std::uint8_t>(between);
}

/// What is reached, without gaps. What an instruction goes on with is the next one that is left: it was the next one
/// before, but for jumps and what is left out.
std::vector<sock_filter> pack(const Steps& steps) {
  const std::vector<bool> kept = reached(steps);
  std::vector<std::size_t> index(steps.size());
  std::size_t count = 0;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    index[at] = count;
    if (kept[at]) ++count;
  }
  std::vector<sock_filter> program;
  for (std::size_t at = 0; at < steps.size(); ++at) {
    if (!kept[at]) continue;
    const Step& step = steps[at];
    sock_filter one{.code = step.code, .jt = 0, .jf = 0, .k = step.k};
    if (is_choice(step)) {
      one.jt = distance(index[at], index[step.taken]);
      one.jf = distance(index[at], index[step.otherwise]);
    } else if (step.code != kReturn && distance(index[at], index[step.taken]) != 0) {
      std::fputs("make_filters: the filter's instructions are not in the order expected\n", stderr);
      std::exit(1);
    }
    program.push_back(one);
  }
  return program;
}

}  // namespace

std::vector<sock_filter> shorten(const std::vector<sock_filter>& program) {
  Steps steps = steps_of(program);
  for (std::size_t at = 0; at < steps.size(); ++at) simplify_test(steps, at);
  skip_jumps(steps);
  return pack(steps);
}

}  // namespace vmm::sandbox
