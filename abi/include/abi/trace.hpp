// Events of the kernel's trace, as `watch trace {raw: true}` sends them (docs/observation.md). The guest records them
// and the host reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <type_traits>

namespace abi::trace {

/// What happened. In the order of kDescriptions, which says what the arguments are. Numbers stay: add at the end.
enum class Type : std::uint16_t {
  ThreadSwitch,    ///< from thread, to thread
  ThreadWake,      ///< thread, its CPU
  ThreadBlock,     ///< thread
  Throttle,        ///< server, until when, how far its budget is overrun
  Replenish,       ///< server, new deadline, new budget
  DeadlineMiss,    ///< server, the deadline, how long ago it was
  InterruptEnter,  ///< INTID
  InterruptExit,   ///< INTID
  IpiSend,         ///< target CPU, arch::Ipi
  UserFault,       ///< thread, address, syndrome
  Syscall,         ///< thread, number
  WorkBegin,       ///< none; the item's function
  WorkEnd,         ///< none; the item's function
  NpuSubmit,       ///< server or 0, job, priority
  NpuRan,          ///< how often others went first, job, from its first command until its last
  NpuEnd,          ///< abi::npu::Status, job, modelled cycles
  OpBegin,         ///< graph, operator's id, number of the execution, from 1
  OpEnd,           ///< graph, operator's id, 0 or 1: it has failed
  ChannelSend,     ///< graph, channel's id, tensors in it afterwards
  ChannelReceive,  ///< graph, channel's id, tensors in it afterwards
  ChannelStall,    ///< graph, channel's id, tensors in it: its producer waits for room
  ChannelDrop,     ///< graph, channel's id, tensors in it afterwards: its policy has dropped one
  ControlBegin,    ///< number of the command, connection << 32 | request id, bytes of the payload
  ControlEnd,      ///< 0: done, 1: refused, 2: nobody waits any more; connection << 32 | request id
  LlmSubmit,       ///< priority, request, tokens that it may say
  LlmStep,         ///< tokens that went in, request, the job of the NPU
  LlmToken,        ///< how many of its answer have come, request, when by the budgets' clock
  LlmEnd,          ///< llm::StopReason, request, tokens that came out
  LlmDue,          ///< none; request, when its deadline is, by the kernel's clock
};

/// What can be recorded or left out together; a mask has the bit of each that is recorded.
enum class Group : std::uint8_t { Scheduler, Interrupts, Graphs, Npu, Llm, Control, User, Work };
inline constexpr std::string_view kGroupNames[] = {"scheduler", "interrupts", "graphs", "npu",
                                                   "llm",       "control",    "user",   "work"};
inline constexpr std::size_t kGroups = std::size(kGroupNames);
static_assert(kGroups == static_cast<std::size_t>(Group::Work) + 1);
using GroupMask = std::uint32_t;
constexpr GroupMask bit(Group group) { return GroupMask{1} << static_cast<unsigned>(group); }
inline constexpr GroupMask kAllGroups = (GroupMask{1} << kGroups) - 1;

constexpr Group group_of(Type type) {
  switch (type) {
    case Type::ThreadSwitch:
    case Type::ThreadWake:
    case Type::ThreadBlock:
    case Type::Throttle:
    case Type::Replenish:
    case Type::DeadlineMiss:
      return Group::Scheduler;
    case Type::InterruptEnter:
    case Type::InterruptExit:
    case Type::IpiSend:
      return Group::Interrupts;
    case Type::UserFault:
    case Type::Syscall:
      return Group::User;
    case Type::WorkBegin:
    case Type::WorkEnd:
      return Group::Work;
    case Type::NpuSubmit:
    case Type::NpuRan:
    case Type::NpuEnd:
      return Group::Npu;
    case Type::OpBegin:
    case Type::OpEnd:
    case Type::ChannelSend:
    case Type::ChannelReceive:
    case Type::ChannelStall:
    case Type::ChannelDrop:
      return Group::Graphs;
    case Type::ControlBegin:
    case Type::ControlEnd:
      return Group::Control;
    case Type::LlmSubmit:
    case Type::LlmStep:
    case Type::LlmToken:
    case Type::LlmEnd:
    case Type::LlmDue:
      return Group::Llm;
  }
  return Group::Scheduler;
}

inline constexpr std::size_t kArguments = 3;
struct Argument {
  std::string_view name;  ///< empty: the events of this type have no such argument
  bool hex = false;       ///< an address or a register, to be shown in hexadecimal
};
struct Description {
  std::string_view name;  ///< "irq-enter"
  Argument arguments[kArguments];
};
inline constexpr Description kDescriptions[] = {
    {"switch", {{"from"}, {"to"}, {}}},
    {"wake", {{"thread"}, {"on_cpu"}, {}}},
    {"block", {{"thread"}, {}, {}}},
    {"throttle", {{"server"}, {"until_ns"}, {"overrun_ns"}}},
    {"replenish", {{"server"}, {"deadline_ns"}, {"budget_ns"}}},
    {"deadline-miss", {{"server"}, {"deadline_ns"}, {"late_ns"}}},
    {"irq-enter", {{"intid"}, {}, {}}},
    {"irq-exit", {{"intid"}, {}, {}}},
    {"ipi-send", {{"to_cpu"}, {"ipi"}, {}}},
    {"user-fault", {{"thread"}, {"address", true}, {"syndrome", true}}},
    {"syscall", {{"thread"}, {"number"}, {}}},
    {"work-begin", {{}, {"function", true}, {}}},
    {"work-end", {{}, {"function", true}, {}}},
    {"npu-submit", {{"server"}, {"job"}, {"priority"}}},
    {"npu-ran", {{"preemptions"}, {"job"}, {"run_ns"}}},
    {"npu-end", {{"status"}, {"job"}, {"cycles"}}},
    {"op-begin", {{"graph"}, {"operator"}, {"execution"}}},
    {"op-end", {{"graph"}, {"operator"}, {"failed"}}},
    {"channel-send", {{"graph"}, {"channel"}, {"depth"}}},
    {"channel-receive", {{"graph"}, {"channel"}, {"depth"}}},
    {"channel-stall", {{"graph"}, {"channel"}, {"depth"}}},
    {"channel-drop", {{"graph"}, {"channel"}, {"depth"}}},
    {"control-begin", {{"op"}, {"call"}, {"bytes"}}},
    {"control-end", {{"status"}, {"call"}, {}}},
    {"llm-submit", {{"priority"}, {"request"}, {"max_tokens"}}},
    {"llm-step", {{"tokens"}, {"request"}, {"job"}}},
    {"llm-token", {{"tokens"}, {"request"}, {"at_ns"}}},
    {"llm-end", {{"stop"}, {"request"}, {"tokens"}}},
    {"llm-due", {{}, {"request"}, {"due_ns"}}},
};
inline constexpr std::size_t kTypes = std::size(kDescriptions);
static_assert(kTypes == static_cast<std::size_t>(Type::LlmDue) + 1);

/// One event, as it is sent. Little endian.
struct Record {
  std::uint64_t time_ns;
  std::uint16_t type;  ///< Type
  std::uint16_t cpu;
  std::uint32_t argument0;
  std::uint64_t argument1;
  std::uint64_t argument2;
};
static_assert(sizeof(Record) == 32 && offsetof(Record, type) == 8 && offsetof(Record, cpu) == 10 &&
              offsetof(Record, argument0) == 12 && offsetof(Record, argument1) == 16 &&
              offsetof(Record, argument2) == 24);
static_assert(std::is_trivially_copyable_v<Record> && std::is_standard_layout_v<Record>);

/// Events that the ring of each CPU keeps: a power of two.
inline constexpr std::uint64_t kMinEvents = 4096;
inline constexpr std::uint64_t kMaxEvents = std::uint64_t{1} << 20;

}  // namespace abi::trace
