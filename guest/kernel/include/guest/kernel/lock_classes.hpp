// What is measured of spin locks, by the locks' name: locks of one kind that come and go (each semaphore has one) are
// summed up, and nothing here points to a lock that may be gone. Empty without SIS_LOCK_STATISTICS.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guest::kernel {

#ifdef SIS_LOCK_STATISTICS
inline constexpr bool kLockStatistics = true;
#else
inline constexpr bool kLockStatistics = false;
#endif

/// Times are in units of tick_count().
struct LockStatistics {
  std::uint64_t acquisitions;
  std::uint64_t contended;  ///< of these, how many had to wait
  std::uint64_t total_held_ticks;
  std::uint64_t max_held_ticks;
};

/// All locks of one name. Written by any CPU that holds one of them, read by anyone: relaxed, the figures order
/// nothing.
class LockClass {
 public:
  constexpr LockClass() = default;
  LockClass(const LockClass&) = delete;
  LockClass& operator=(const LockClass&) = delete;

  void count(bool waited);
  void add(std::uint64_t held_ticks);
  /// Empty until the first lock of the class was taken.
  [[nodiscard]] std::string_view name() const;
  /// The figures may be of different moments.
  [[nodiscard]] LockStatistics read() const;

 private:
  friend LockClass& lock_class(std::string_view name);
  bool take(std::string_view name);

  std::atomic<const char*> name_{nullptr};  ///< static storage; set once
  std::atomic<std::size_t> name_bytes_{0};
  std::atomic<std::uint64_t> acquisitions_{0};
  std::atomic<std::uint64_t> contended_{0};
  std::atomic<std::uint64_t> total_ticks_{0};
  std::atomic<std::uint64_t> max_ticks_{0};
};

inline constexpr std::size_t kMaxLockClasses = 32;

/// The class of that name, from now on if there was none; when there is room for no more, the last one, which is then
/// of several names and keeps its first. `name` is of static storage. From any context; takes no lock.
LockClass& lock_class(std::string_view name);

/// The class number `index`, in the order of their first acquisitions; null beyond the last.
const LockClass* find_lock_class(std::size_t index);

}  // namespace guest::kernel
