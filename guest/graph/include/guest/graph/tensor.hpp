// Tensors: what flows through channels. A tensor's bytes lie in an arena and stay there; what moves is a handle.
//
//   TensorRef --handle--> descriptor {state: generation, references | info | extent} --> bytes in the arena
//
// A handle is the number of a descriptor and the generation of its use: 32 bits, so that a channel moves it in one
// store. A descriptor that is freed gets the next generation, and who still has an old handle is told so. (After 65,535
// uses of one descriptor a generation comes again.)
//
// Owners count: whoever has a TensorRef has one reference, and so has a channel for each handle in it. One owner alone
// may write (writable()); what was shared is read only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "guest/graph/extent_pool.hpp"
#include "guest/kernel/cpu.hpp"
#include "guest/kernel/panic.hpp"
#include "guest/kernel/spin_lock.hpp"
#include "guest/kernel/status.hpp"

namespace guest::graph {

/// 0: none. Else {generation, bits 31..16, never 0 | descriptor, bits 15..0}.
enum class TensorHandle : std::uint32_t { None = 0 };

enum class DType : std::uint8_t { U8, I8, U16, I16, F16, U32, I32, F32, U64, I64, F64 };
inline constexpr std::uint8_t kDTypes = 11;

/// Bytes of an element; 0: not a type.
std::uint32_t size_of(DType dtype);
/// "u8", "f32"; "?" for what is not a type.
std::string_view to_string(DType dtype);
/// The type of that name.
std::optional<DType> find_dtype(std::string_view name);

/// Dimensions, the one that changes slowest first. Rank 0 is a scalar; a dimension of 0 makes a tensor without
/// elements.
struct Shape {
  static constexpr std::size_t kMaxRank = 4;
  std::uint8_t rank = 0;
  std::uint32_t dims[kMaxRank] = {};

  friend bool operator==(const Shape& one, const Shape& other);
};
Shape shape_of(std::span<const std::uint32_t> dims);  ///< at most kMaxRank of them

/// Bytes of a tensor. Invalid: not a type, or the rank is above kMaxRank; OutOfRange: not below 2^64.
kernel::Result<std::uint64_t> bytes_of(DType dtype, const Shape& shape);

/// What is known of a tensor besides its bytes.
struct TensorInfo {
  DType dtype = DType::U8;
  Shape shape;
  std::uint32_t schema = 0;        ///< 0: untyped
  std::uint32_t origin = 0;        ///< id of the operator that made it
  std::uint64_t sequence = 0;      ///< the origin's count
  std::uint64_t timestamp_ns = 0;  ///< when the oldest data in it came into the graph, by the kernel's clock
};

struct TensorStatistics {
  std::uint32_t capacity;  ///< tensors at a time
  std::uint32_t live;
  std::uint32_t peak_live;
  std::uint64_t allocated;              ///< since the start
  std::uint64_t refused_no_descriptor;  ///< `capacity` were live
  std::uint64_t refused_no_memory;      ///< the bytes were not to be had
  std::uint64_t stale_handles;          ///< uses of handles whose tensor was gone
  std::uint64_t memory_bytes;           ///< for data
  std::uint64_t used_bytes;             ///< of those, in pieces of kDataAlignment
  std::uint64_t peak_used_bytes;
  std::uint64_t bytes_copied;  ///< by anything in this module: what tensors between operators must not cost
};

class TensorArena;

/// One reference to a tensor, or none. Move only: share() makes another one. Of one thread at a time, as any value.
class TensorRef {
 public:
  constexpr TensorRef() = default;
  TensorRef(TensorRef&& other) noexcept
      : arena_(std::exchange(other.arena_, nullptr)), handle_(std::exchange(other.handle_, TensorHandle::None)) {}
  TensorRef& operator=(TensorRef&& other) noexcept {
    if (this != &other) {
      reset();
      arena_ = std::exchange(other.arena_, nullptr);
      handle_ = std::exchange(other.handle_, TensorHandle::None);
    }
    return *this;
  }
  TensorRef(const TensorRef&) = delete;
  TensorRef& operator=(const TensorRef&) = delete;
  ~TensorRef() { reset(); }

  explicit operator bool() const { return handle_ != TensorHandle::None; }
  [[nodiscard]] TensorHandle handle() const { return handle_; }
  /// Null for none.
  [[nodiscard]] TensorArena* arena() const { return arena_; }

  // The rest panics for none.

  /// Another reference to the same tensor.
  [[nodiscard]] TensorRef share() const;
  /// This is the only reference. What others wrote before they let go of theirs is then visible.
  [[nodiscard]] bool unique() const;
  [[nodiscard]] const TensorInfo& info() const;
  /// Bytes of the elements, aligned to TensorArena::kDataAlignment; empty where there are no elements.
  [[nodiscard]] std::span<const std::byte> data() const;
  /// The same, to be written. Panics unless unique().
  [[nodiscard]] std::span<std::byte> writable();
  /// Everything but the type and the shape of a tensor may be set anew. Panics unless unique().
  void stamp(std::uint32_t schema, std::uint32_t origin, std::uint64_t sequence, std::uint64_t timestamp_ns);
  /// The same bytes with another type and shape, without a copy. Panics unless unique(). As bytes_of(); OutOfRange also
  /// where the new size is larger than the old one.
  kernel::Status reshape(DType dtype, const Shape& shape);

  /// Lets go of the reference; the last one frees the tensor.
  void reset() {
    if (handle_ != TensorHandle::None) {
      drop();
    }
  }
  /// Gives up the reference without letting go of it: the caller has it as a bare handle, for TensorArena::adopt().
  [[nodiscard]] TensorHandle detach() {
    arena_ = nullptr;
    return std::exchange(handle_, TensorHandle::None);
  }

 private:
  friend class TensorArena;
  TensorRef(TensorArena& arena, TensorHandle handle) : arena_(&arena), handle_(handle) {}
  void drop();

  TensorArena* arena_ = nullptr;  ///< null for none
  TensorHandle handle_ = TensorHandle::None;
};

/// A fixed number of tensors in fixed memory. From any CPU and any context; bounded time.
class TensorArena {
 public:
  static constexpr std::size_t kDataAlignment = ExtentPool::kUnitBytes;
  static constexpr std::uint32_t kMaxTensors = 65'535;

  constexpr TensorArena() = default;
  TensorArena(const TensorArena&) = delete;
  TensorArena& operator=(const TensorArena&) = delete;

  /// Memory that start() wants for `tensors` of `data_bytes` together (each a multiple of kDataAlignment), wherever it
  /// begins; 0: more than there can be.
  static std::uint64_t memory_for(std::uint32_t tensors, std::uint64_t data_bytes);
  /// Takes `memory`, the caller's, which outlives the arena: books for `tensors` (1 to kMaxTensors), and data in what
  /// is left. Once, before any other call. Invalid: no or too many tensors; NoMemory: no byte is left for data.
  kernel::Status start(std::span<std::byte> memory, std::uint32_t tensors);

  /// A tensor with undefined contents, owned by nobody else. Invalid, OutOfRange: as bytes_of(); NoMemory: no
  /// descriptor or no piece of memory that is large enough, and the statistics say which.
  [[nodiscard]] kernel::Result<TensorRef> allocate(const TensorInfo& info);
  /// The owner of the reference that somebody gave up with detach(). Nothing: the handle is stale, or none.
  [[nodiscard]] std::optional<TensorRef> adopt(TensorHandle handle);
  /// The same for who knows that it holds that reference, as a channel does. Not for none.
  [[nodiscard]] TensorRef adopt_held(TensorHandle handle) { return {*this, handle}; }
  /// Another reference to the tensor of `handle`, while somebody else has one. Nothing: the handle is stale, or none.
  [[nodiscard]] std::optional<TensorRef> share(TensorHandle handle);

  /// A new tensor with the same bytes and information: bytes are copied, and counted. As allocate().
  [[nodiscard]] kernel::Result<TensorRef> clone(const TensorRef& from);
  /// Copies `bytes` to `offset` of a tensor, and counts them. Panics unless it is unique; OutOfRange: does not fit.
  kernel::Status write(TensorRef& to, std::uint64_t offset, std::span<const std::byte> bytes);

  [[nodiscard]] TensorStatistics statistics() const;
  /// Where the bytes of all tensors lie; it begins at a multiple of kDataAlignment. For devices that reach it.
  [[nodiscard]] std::span<std::byte> memory() const { return {data_, data_bytes_}; }

 private:
  friend class TensorRef;
  struct alignas(kernel::kCacheLineBytes) Descriptor {
    /// {generation, bits 47..32, never 0 | references, bits 31..0}. A free descriptor has the generation of its next
    /// use and no references.
    std::atomic<std::uint64_t> state{kFirstGeneration};
    std::uint32_t next_free = 0;
    std::uint32_t extent = ExtentPool::kNone;  ///< kNone: no elements
    std::uint64_t bytes = 0;                   ///< of the elements now
    std::uint64_t room_bytes = 0;              ///< of the extent
    std::byte* data = nullptr;
    TensorInfo info;
  };
  static constexpr unsigned kGenerationShift = 32;
  static constexpr std::uint64_t kReferences = (std::uint64_t{1} << kGenerationShift) - 1;
  static constexpr unsigned kHandleGenerationShift = 16;
  static constexpr std::uint32_t kHandleIndex = (std::uint32_t{1} << kHandleGenerationShift) - 1;
  static constexpr std::uint64_t kFirstGeneration = std::uint64_t{1} << kGenerationShift;
  static constexpr std::uint32_t kNoDescriptor = ~std::uint32_t{0};

  static constexpr std::uint32_t generation_of(std::uint64_t state) {
    return static_cast<std::uint32_t>(state >> kGenerationShift);
  }
  static constexpr std::uint32_t generation_of(TensorHandle handle) {
    return static_cast<std::uint32_t>(handle) >> kHandleGenerationShift;
  }
  static constexpr std::uint32_t index_of(TensorHandle handle) {
    return static_cast<std::uint32_t>(handle) & kHandleIndex;
  }
  static constexpr std::uint64_t references_of(std::uint64_t state) { return state & kReferences; }
  /// The state is one of a tensor that `handle` is of.
  static constexpr bool is_of(std::uint64_t state, TensorHandle handle) {
    return generation_of(state) == generation_of(handle) && references_of(state) != 0;
  }

  static std::uint32_t next_generation(std::uint32_t generation);
  static std::uint64_t book_bytes(std::uint32_t tensors);

  /// The descriptor of a handle in use. Panics for another one.
  [[nodiscard]] Descriptor& live(TensorHandle handle) const;
  [[nodiscard]] Descriptor* find(TensorHandle handle) const;
  bool add_reference(TensorHandle handle);
  void release(TensorHandle handle);
  void free(Descriptor& descriptor);
  std::uint32_t take(std::uint64_t bytes);
  // With the lock held.
  bool take_extent(Descriptor& descriptor, std::uint64_t units);
  void give_extent(const Descriptor& descriptor);
  void release_spares();
  [[nodiscard]] std::uint64_t used_bytes() const;
  void copy(std::span<std::byte> to, std::span<const std::byte> from);

  mutable kernel::SpinLock lock_{"tensors", kernel::LockRank::Tensors};  ///< of the lists and figures, not of states
  std::span<Descriptor> descriptors_;
  std::byte* data_ = nullptr;
  std::uint64_t data_bytes_ = 0;
  ExtentPool pool_;
  /// Pieces that were freed last, to be handed out next to who wants just that size, as most do: they pass the pool by.
  /// It counts them as used.
  static constexpr std::uint32_t kSpares = 4;
  struct Spare {
    std::uint64_t units = 0;  ///< 0: none
    std::uint32_t extent = ExtentPool::kNone;
    std::byte* data = nullptr;
  };
  Spare spares_[kSpares];
  std::uint32_t next_spare_ = 0;
  std::uint64_t spare_units_ = 0;
  std::uint32_t first_free_ = kNoDescriptor;
  std::uint32_t live_ = 0;
  std::uint32_t peak_live_ = 0;
  std::uint64_t allocated_ = 0;
  std::uint64_t refused_no_descriptor_ = 0;
  std::uint64_t refused_no_memory_ = 0;
  std::uint64_t peak_used_bytes_ = 0;
  // Figures that order nothing: relaxed.
  std::atomic<std::uint64_t> stale_handles_{0};
  std::atomic<std::uint64_t> bytes_copied_{0};
};

// Every execution asks each of its inputs how old it is, so inline.

inline TensorArena::Descriptor* TensorArena::find(TensorHandle handle) const {
  if (index_of(handle) >= descriptors_.size()) {
    return nullptr;
  }
  Descriptor& descriptor = descriptors_[index_of(handle)];
  return is_of(descriptor.state.load(std::memory_order_acquire), handle) ? &descriptor : nullptr;
}

inline TensorArena::Descriptor& TensorArena::live(TensorHandle handle) const {
  Descriptor* const descriptor = find(handle);
  kernel::require(descriptor != nullptr, "use of a tensor that is gone, or of none");
  return *descriptor;
}

inline const TensorInfo& TensorRef::info() const {
  kernel::require(handle_ != TensorHandle::None, "a reference to no tensor is used");
  return arena_->live(handle_).info;
}

}  // namespace guest::graph
