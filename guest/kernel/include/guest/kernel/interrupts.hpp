// Which handler belongs to which interrupt, and how often each was taken. The controller is behind an interface.
#pragma once

#include <cstdint>
#include <string_view>

namespace guest::kernel {

/// Number of an interrupt as the controller knows it (GIC: 16 to 31 private, from 32 shared).
enum class IntId : std::uint32_t {};

enum class Trigger : std::uint8_t { Level, Edge };

/// What the controller's driver offers.
class InterruptController {
 public:
  /// Largest usable id plus one.
  [[nodiscard]] virtual std::uint32_t count() const = 0;
  /// Sets trigger and priority, routes to this CPU, unmasks.
  virtual void enable(IntId id, Trigger trigger) = 0;
  virtual void disable(IntId id) = 0;
  /// "GICv2", "GICv3"
  [[nodiscard]] virtual std::string_view name() const = 0;

 protected:
  ~InterruptController() = default;
};

/// Called in the interrupt: moves data, raises work, returns. No floating point, no allocation, no console.
using InterruptHandler = void (*)(void* context);

class Interrupts {
 public:
  static constexpr std::uint32_t kMaxIds = 1020;  ///< IHI 0069, INTIDs: SGIs, PPIs and SPIs
  static constexpr std::uint32_t kMaxHandlers = 64;

  struct Entry {
    IntId id{};
    std::string_view name;  ///< static storage
    InterruptHandler handler = nullptr;
    void* context = nullptr;
    std::uint64_t count = 0;  ///< times taken
  };

  constexpr Interrupts() = default;

  void set_controller(InterruptController& controller) { controller_ = &controller; }
  [[nodiscard]] const InterruptController* controller() const { return controller_; }

  /// Registers the handler of `id` and unmasks it. False: out of range, taken, or the table is full.
  [[nodiscard]] bool attach(IntId id, Trigger trigger, std::string_view name, InterruptHandler handler, void* context);

  /// Runs the handler of `id`. An interrupt without a handler is counted and masked, so that it cannot storm. In the
  /// interrupt.
  void dispatch(IntId id);
  /// The controller said "spurious". In the interrupt.
  void count_spurious() { ++spurious_; }

  [[nodiscard]] std::uint32_t size() const { return used_; }
  [[nodiscard]] const Entry& entry(std::uint32_t index) const { return entries_[index]; }
  [[nodiscard]] std::uint64_t unhandled() const { return unhandled_; }
  [[nodiscard]] std::uint64_t spurious() const { return spurious_; }

 private:
  InterruptController* controller_ = nullptr;
  Entry entries_[kMaxHandlers] = {};
  std::uint8_t index_plus_one_[kMaxIds] = {};  ///< 0: no handler
  std::uint32_t used_ = 0;
  std::uint64_t unhandled_ = 0;
  std::uint64_t spurious_ = 0;
};

/// The machine's interrupts.
Interrupts& interrupts();

}  // namespace guest::kernel
