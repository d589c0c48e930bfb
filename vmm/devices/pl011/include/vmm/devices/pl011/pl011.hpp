// The serial console: Arm PrimeCell UART (PL011), Arm DDI 0183, as a guest's registers on one side and bytes on the
// other.
//
// The line is infinitely fast. What the guest sends is taken at once, so its transmit FIFO is always empty; what the
// host sends arrives in one burst, behind which the line is idle, so the receive timeout has always passed. Where that
// leaves a choice, guests decide it:
//   - Host input waits outside until the guest has enabled its receiver, so that what is typed during boot survives the
//     driver's start.
//   - A guest that lets the receive interrupt through but not the receive timeout gets the former for every byte:
//     by the manual it would not see a short line before the FIFO fills up, and it was written for QEMU, which does so.
//   - A guest that transmits without enabling the UART is heard: there is no wire that could be left alone.
//   - The modem lines are those of a terminal that is there: CTS, DSR and DCD are set.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <type_traits>

#include "vmm/base/result.hpp"
#include "vmm/mmio/device.hpp"
#include "vmm/mmio/primecell.hpp"

namespace vmm {

/// The registers. Copied as it is into a snapshot, in host byte order.
struct Pl011State {
  static constexpr std::uint32_t kFifoBytes = 16;

  std::uint32_t rsr = 0;   ///< receive status: overrun only
  std::uint32_t ilpr = 0;  ///< kept; there is no infrared
  std::uint32_t ibrd = 0;  ///< kept, as fbrd; the line has no speed
  std::uint32_t fbrd = 0;
  std::uint32_t lcr_h = 0;
  std::uint32_t cr = 0x300;   ///< TXE, RXE: Arm DDI 0183, Control Register, UARTCR
  std::uint32_t ifls = 0x12;  ///< half full, both ways
  std::uint32_t imsc = 0;
  std::uint32_t ris = 0;
  std::uint32_t dmacr = 0;  ///< kept; there is no DMA controller
  std::uint32_t fifo_first = 0;
  std::uint32_t fifo_count = 0;
  std::array<std::uint8_t, kFifoBytes> fifo{};  ///< received bytes: fifo_count from fifo_first on, around the end
};
static_assert(std::has_unique_object_representations_v<Pl011State>, "padding would leak into a snapshot");

struct Pl011Options {
  /// The guest has written something, where take_output() had left nothing: have it called soon. From a virtual CPU's
  /// thread. Must not be empty.
  std::function<void()> output_ready;
  /// receive() takes bytes again, after it took less than all. From a virtual CPU's thread. Must not be empty.
  std::function<void()> input_room;
};

/// Thread: read(), write() from any virtual CPU's; receive() and take_output() from one thread, such as an event
/// loop's, which must not wait for a virtual CPU; shutdown(), save(), restore() from any. The interrupt line is
/// level-triggered, and set with a lock held: it must not call back.
class Pl011 final : public mmio::Device {
 public:
  static constexpr std::uint64_t kWindowBytes = mmio::kPrimeCellWindowBytes;
  /// Output collected before a virtual CPU waits for take_output().
  static constexpr std::size_t kOutputBytes = 4096;

  /// @param line outlives the device
  Pl011(mmio::InterruptLine& line, Pl011Options options);

  /// Registers are 32 bits wide, four bytes apart, and accessed at their start; a narrower write writes zeros above.
  std::uint64_t read(std::uint64_t offset, unsigned size_bytes) override;
  void write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) override;

  /// Types into the guest. Returns how many bytes it took: as many as fit into its FIFO; none while its receiver is
  /// off. After less than all, input_room tells when to go on.
  std::size_t receive(std::string_view bytes);

  /// What the guest has written since the last call; valid until the next one. Empty when there is nothing.
  [[nodiscard]] std::string_view take_output();

  /// From now on a virtual CPU does not wait when kOutputBytes are full; what it writes then is lost. For the end of
  /// the machine, before virtual CPUs are joined. take_output() still gives what is there.
  void shutdown();

  /// Output not yet taken is no part of the state: take it first.
  [[nodiscard]] Pl011State save() const;
  /// @return an error that names the field if no PL011 can be in that state; nothing has changed then
  Result<> restore(const Pl011State& state);

 private:
  // With mutex_ held.
  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset);
  void write_register(std::uint32_t offset, std::uint32_t value);
  [[nodiscard]] std::uint32_t flags() const;
  [[nodiscard]] std::uint32_t modem_inputs() const;
  [[nodiscard]] std::uint32_t depth() const;
  [[nodiscard]] std::uint32_t receive_trigger() const;
  [[nodiscard]] bool receiver_on() const;
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] bool room_to_announce();
  void set_control(std::uint32_t value);
  void push(std::uint8_t byte);
  [[nodiscard]] std::uint32_t pop();
  void line_idle();
  void publish();

  bool transmit(std::unique_lock<std::mutex>& lock, std::uint8_t byte);

  mmio::InterruptLine& line_;
  const Pl011Options options_;

  mutable std::mutex mutex_;  ///< guards everything below
  Pl011State state_;
  /// FR, as state_ makes it; changed with mutex_ held. Read without: drivers look at it before each byte that they
  /// send.
  std::atomic<std::uint32_t> flags_{flags()};
  bool asserted_ = false;    ///< level of line_
  bool input_held_ = false;  ///< receive() took less than all, and input_room was not called since

  std::condition_variable output_taken_;
  bool shut_down_ = false;
  std::size_t output_used_ = 0;  ///< of output_[filling_]
  unsigned filling_ = 0;         ///< the half that the guest fills; the other belongs to take_output()'s caller
  std::array<std::array<char, kOutputBytes>, 2> output_;
};

}  // namespace vmm
