// The NPU: a paravirtual accelerator (docs/npu.md, which is its manual).
//
//   queue 0, control    [readable: ControlRequest] [writable: a reply of the request's kind]
//   queue 1, jobs       [readable: JobHeader, Command x count] [writable: JobResult]
//
// A job is a stream of commands that run in their order. Each names its tensors by region and offset; a region is
// memory that was registered once. All of a stream is checked before its first command runs.
//
// The device appears as virtio device 65535, or as a file system (26) with the tag kCarrierTag where the monitor's
// front end knows no other device with plain request queues. What follows is the same on both; nothing of it is in the
// configuration space, which the second one fixes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "abi/endian.hpp"

namespace abi::npu {

/// VIRTIO 1.2, File System Device: `tag`, 36 bytes, padded with NUL.
inline constexpr char kCarrierTag[] = "sis-npu";
inline constexpr std::uint16_t kControlQueue = 0;
inline constexpr std::uint16_t kJobQueue = 1;
inline constexpr std::uint16_t kQueues = 2;

/// Of the command stream's format; a job states it, and another one is refused.
inline constexpr std::uint32_t kStreamVersion = 1;

// ---- tensors ----

/// How the elements of a tensor are encoded. Blocks are those of GGUF: 32 elements along a row.
enum class Type : std::uint8_t {
  F32 = 0,   ///< IEEE 754 binary32
  F16 = 1,   ///< IEEE 754 binary16
  I8 = 2,    ///< signed; quantised as TFLite's int8 where a command says so
  I32 = 3,   ///< signed
  Q8_0 = 4,  ///< block: f16 scale d, then 32 x i8; an element is d * q
  Q4_0 = 5,  ///< block: f16 scale d, then 16 bytes; element i is d * (low nibble of byte i - 8), 16 + i the high nibble
  U8 = 6,    ///< unsigned
};
inline constexpr unsigned kTypes = 7;
inline constexpr std::uint32_t kBlockElements = 32;
inline constexpr std::uint32_t kQ8BlockBytes = 34;
inline constexpr std::uint32_t kQ4BlockBytes = 18;

/// No tensor: an operand that the command does not have.
inline constexpr std::uint32_t kNoRegion = 0;

struct TensorRef {
  Le64 offset;  ///< of the first element, bytes from the region's start; a multiple of the element's alignment
  Le32 region;  ///< handle of a region; kNoRegion: this operand is left out
  /// From one row to the next, bytes; 0: rows lie one behind the other. At least a row's bytes.
  Le32 row_stride;
};
static_assert(sizeof(TensorRef) == 16 && offsetof(TensorRef, region) == 8);

// ---- commands ----

/// docs/npu.md, Commands, has a table of each one.
enum class Opcode : std::uint16_t {
  Nop = 0,
  Gemm = 1,
  RmsNorm = 2,
  LayerNorm = 3,
  Softmax = 4,
  Rope = 5,
  Attention = 6,
  SwiGlu = 7,
  Silu = 8,
  Gelu = 9,
  Relu = 10,
  Add = 11,
  Mul = 12,
  Scale = 13,
  EmbedRows = 14,
  ArgMax = 15,
  TopK = 16,
  Conv2d = 17,
  DepthwiseConv2d = 18,
  MaxPool = 19,
  AvgPool = 20,
  Copy = 21,
};
inline constexpr unsigned kOpcodes = 22;

/// Flags of a command, a bit mask; each opcode allows some.
namespace command_flag {
inline constexpr std::uint16_t kClamp = 1 << 0;         ///< Gemm, convolutions, Add, Mul on f32: to [param 2, param 3]
inline constexpr std::uint16_t kHalfSplit = 1 << 1;     ///< Rope: pairs are (i, i + R/2), not (2i, 2i + 1)
inline constexpr std::uint16_t kBroadcastRow = 1 << 2;  ///< Add, Mul: the second input has one row
inline constexpr std::uint16_t kPerTensor = 1 << 3;     ///< int8: one multiplier and shift for all channels
}  // namespace command_flag

inline constexpr unsigned kMaxOperands = 6;
inline constexpr unsigned kMaxDims = 12;
inline constexpr unsigned kMaxParams = 8;

/// Fields that an opcode does not use are 0; a stream in which one is not is refused.
struct Command {
  Le16 opcode;
  Le16 flags;
  std::uint8_t types[kMaxOperands];  ///< Type of each operand
  std::uint8_t reserved[6];
  TensorRef operands[kMaxOperands];  ///< [0] is the output
  Le32 dims[kMaxDims];
  Le32 params[kMaxParams];  ///< bits of an f32 or an i32, as the opcode's table says
};
static_assert(sizeof(Command) == 192 && offsetof(Command, operands) == 16 && offsetof(Command, dims) == 112 &&
              offsetof(Command, params) == 160);
static_assert(std::is_standard_layout_v<Command> && std::is_trivially_copyable_v<Command>);

// ---- jobs ----

enum class Priority : std::uint8_t { Low = 0, Normal = 1, High = 2, Critical = 3 };
inline constexpr unsigned kPriorities = 4;

namespace job_flag {
/// The result comes no sooner than the modelled cycles take at the device's clock.
inline constexpr std::uint8_t kAtModelledTime = 1 << 0;
}  // namespace job_flag

struct JobHeader {
  Le32 stream_version;    ///< kStreamVersion
  Le32 commands;          ///< that follow; 0 is allowed
  Le64 id;                ///< the driver's; no other job in flight has it
  std::uint8_t priority;  ///< Priority
  std::uint8_t flags;     ///< job_flag
  Le16 reserved0;         ///< 0
  Le32 origin;            ///< whom the driver works for, such as a server's id; in counters and traces
  Le64 deadline_ns;       ///< from the job's arrival until its last command has ended; 0: none
  Le64 cycle_limit;       ///< a job that the model finds longer is refused; 0: the device's own limit
  Le64 reserved[3];       ///< 0
};
static_assert(sizeof(JobHeader) == 64 && offsetof(JobHeader, deadline_ns) == 24 &&
              offsetof(JobHeader, cycle_limit) == 32);

/// How a job or a control request ended.
enum class Status : std::uint32_t {
  Ok = 0,
  Parse = 1,     ///< the stream is not one
  Region = 2,    ///< an access outside a region, to one that does not exist, or that may not be written
  Type = 3,      ///< types or shapes that the command does not take
  Budget = 4,    ///< over the cycle limit, or over a limit of the device
  Deadline = 5,  ///< it passed
  Aborted = 6,   ///< by the driver
  Reset = 7,     ///< the device was reset, or lost power
  Injected = 8,  ///< by the scenario, to test the driver
  Busy = 9,      ///< no room now, or the region is in use
};

inline constexpr unsigned kStatuses = 10;

/// What in particular was wrong. Stable; docs/npu.md, Faults.
enum class Reason : std::uint32_t {
  None = 0,
  ShortBuffer = 1,  ///< fewer bytes than the request or its reply needs
  StreamVersion = 2,
  Opcode = 3,
  ReservedField = 4,  ///< a field that must be 0 is not
  Flags = 5,
  Priority = 6,
  DuplicateJob = 7,
  TooManyCommands = 8,
  MissingOperand = 9,
  UnknownRegion = 10,
  OutsideRegion = 11,
  ReadOnlyRegion = 12,  ///< an output in a region without kWrite, or with kImmutable
  Misaligned = 13,
  RowStride = 14,
  Overlap = 15,  ///< an output lies over another operand other than as the table allows
  OperandType = 16,
  Dimension = 17,  ///< 0, too large, or not what another one asks for
  Parameter = 18,
  IndexRange = 19,  ///< an index in a tensor is out of range; found while the command ran
  CycleLimit = 20,
  CommandCycles = 21,  ///< one command is longer than the device allows, so that it can always be stopped
  QueueFull = 22,
  DeadlinePassed = 23,
  AbortRequest = 24,
  DeviceReset = 25,
  PowerOff = 26,
  FaultInjection = 27,
  RegionInUse = 28,
  RegionTable = 29,  ///< no room for another region
  GuestMemory = 30,  ///< a region is not in the guest's memory
  UnknownJob = 31,
  UnknownRequest = 32,
  WriteOnlyRegion = 33,  ///< an input in a region without kRead
};

inline constexpr std::uint32_t kNoCommand = 0xFFFF'FFFF;

struct JobResult {
  Le32 status;         ///< Status
  Le32 reason;         ///< Reason
  Le64 id;             ///< of the job
  Le32 command;        ///< index of the one at fault, or at which it ended; kNoCommand: none
  Le32 stream_offset;  ///< of what is at fault, bytes from the first command; 0 without one
  Le64 cycles;         ///< of the commands that have run, by the model
  Le64 arrived_ns;     ///< device time: since the device was made
  Le64 started_ns;     ///< 0: it was not
  Le64 finished_ns;
  Le32 preemptions;  ///< how often a job of higher priority went first between two commands
  Le32 reserved;
};
static_assert(sizeof(JobResult) == 64 && offsetof(JobResult, cycles) == 24 && offsetof(JobResult, preemptions) == 56);

// ---- control ----

enum class ControlOp : std::uint32_t {
  Query = 0,           ///< -> DeviceInfo
  RegisterRegion = 1,  ///< address, bytes, flags -> ControlReply with the handle as value
  ReleaseRegion = 2,   ///< handle -> ControlReply; Busy while a job that names it is in flight
  Abort = 3,           ///< job -> ControlReply, when it has ended
  Flush = 4,           ///< -> ControlReply, when no job that came before it is in flight
  Reset = 5,           ///< -> ControlReply, when every job has ended (Status::Reset) and no region is left
  SetPower = 6,        ///< power -> ControlReply
  ReadCounters = 7,    ///< -> Counters
};

namespace region_flag {
inline constexpr std::uint32_t kRead = 1 << 0;
inline constexpr std::uint32_t kWrite = 1 << 1;
/// Its bytes do not change while it is registered: the device may keep a rearranged copy.
inline constexpr std::uint32_t kImmutable = 1 << 2;
}  // namespace region_flag

enum class Power : std::uint32_t {
  On = 0,
  Gated = 1,  ///< the clock stands still between commands; jobs wait
  Off = 2,    ///< jobs end with Status::Reset, regions are forgotten, jobs are refused
};

struct ControlRequest {
  Le32 op;        ///< ControlOp
  Le32 argument;  ///< RegisterRegion: region_flag; ReleaseRegion: handle; SetPower: Power; else 0
  Le64 address;   ///< RegisterRegion: guest-physical; Abort: the job's id; else 0
  Le64 bytes;     ///< RegisterRegion; else 0
  Le64 reserved;  ///< 0
};
static_assert(sizeof(ControlRequest) == 32 && offsetof(ControlRequest, bytes) == 16);

struct ControlReply {
  Le32 status;  ///< Status
  Le32 reason;  ///< Reason
  Le64 value;   ///< RegisterRegion: the handle; else 0
};
static_assert(sizeof(ControlReply) == 16);

/// What the device is and can. Figures of the model belong to docs/npu.md, Cost.
struct DeviceInfo {
  ControlReply reply;
  Le32 stream_version;
  Le32 max_jobs;      ///< in flight
  Le32 max_commands;  ///< of one job
  Le32 max_regions;
  Le64 max_job_cycles;      ///< cycle limit of a job that states none
  Le64 max_command_cycles;  ///< of one command
  Le64 clock_hz;            ///< of the modelled device
  Le32 bytes_per_cycle;
  Le32 f32_macs_per_cycle;  ///< of f32, f16, Q8_0 and Q4_0
  Le32 i8_macs_per_cycle;   ///< of i8
  Le32 f32_ops_per_cycle;   ///< of elementwise operations
  Le64 opcodes;             ///< bit n: Opcode n is there
  Le64 device_ns;           ///< device time when this was written
};
static_assert(sizeof(DeviceInfo) == 88 && offsetof(DeviceInfo, max_job_cycles) == 32 &&
              offsetof(DeviceInfo, opcodes) == 72);

/// Since the device was made; a reset does not clear them.
struct Counters {
  ControlReply reply;
  Le64 busy_cycles;          ///< modelled, of commands that have run
  Le64 mac_active_cycles;    ///< of those, in which the model's MAC units work
  Le64 memory_stall_cycles;  ///< of those, in which they wait for memory
  Le64 idle_ns;              ///< device time without a job that could run
  Le64 bytes_read;
  Le64 bytes_written;
  Le64 commands;
  Le64 jobs_submitted;
  Le64 jobs_by_status[kStatuses];  ///< that have ended
  Le64 preemptions;
  Le64 interrupts;
  Le64 regions;         ///< registered now
  Le64 jobs_in_flight;  ///< now
};
static_assert(sizeof(Counters) == 16 + 8 * 22);

}  // namespace abi::npu
