// The virtio vsock device (VIRTIO 1.2, Socket Device): queues and packet buffers below VsockMux.
//
//   interrupt --> on_interrupt(): acknowledge, raise work
//   work      --> run(): events, received packets (their buffers go back at once), VsockMux::service(), one kick a
//   queue
//
// Received packets are handled where the device put them and the buffer is offered again right after, so a stream that
// nobody reads holds no buffer. Sent packets are copied once, into pages of a pool: a small packet takes one page, a
// large one up to 16, neighbouring ones as one descriptor.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "guest/drivers/dma.hpp"
#include "guest/drivers/virtio_transport.hpp"
#include "guest/drivers/virtqueue.hpp"
#include "guest/drivers/vsock_mux.hpp"
#include "guest/kernel/counters.hpp"
#include "guest/kernel/work.hpp"

namespace guest::drivers {

/// From the main loop, but for on_interrupt(). Large: give it static storage.
class VsockDevice final : private VsockLink {
 public:
  struct Config {
    std::uint16_t rx_buffers = 64;              ///< at most the queue's size are used
    std::uint32_t rx_buffer_bytes = 16 * 1024;  ///< header and payload; a multiple of 4 of at least 4096
    std::uint16_t tx_pages = 256;               ///< of 4 KiB; at least 16
    VsockMux::Limits limits{};
  };

  /// All must outlive this. `queue` runs the driver's work.
  VsockDevice(VirtioTransport& transport, DmaMemory& dma, BufferMemory& buffers, kernel::WorkQueue& queue,
              const Config& config);
  VsockDevice(const VsockDevice&) = delete;
  VsockDevice& operator=(const VsockDevice&) = delete;

  /// Where to listen and connect. Register listeners first: the host has requests waiting for start().
  [[nodiscard]] kernel::StreamTransport& streams() { return mux_; }

  /// Negotiates, takes memory, goes live. Attach on_interrupt() before. On an error the device is left reset.
  /// Unsupported, TimedOut: see VirtioTransport::negotiate(). NotFound: a queue is missing. NoMemory. Invalid:
  /// `config`.
  kernel::Status start();

  /// In the interrupt.
  void on_interrupt();
  /// An InterruptHandler for Interrupts::attach(); `device` is the VsockDevice.
  static void interrupt_thunk(void* device) { static_cast<VsockDevice*>(device)->on_interrupt(); }

  [[nodiscard]] bool live() const { return live_; }
  [[nodiscard]] std::uint64_t guest_cid() const { return guest_cid_; }
  [[nodiscard]] const VsockCounters& counters() const { return counters_; }
  void register_counters(kernel::CounterRegistry& registry) { counters_.register_all(registry); }

 private:
  static constexpr std::size_t kPacketPages = 16;
  static constexpr std::size_t kEventBuffers = 4;
  static constexpr std::uint16_t kNoPage = 0xFFFF;
  /// After this many failures of the device it is left alone.
  static constexpr unsigned kMaxRestarts = 3;

  // VsockLink.
  std::size_t payload_room() override;
  bool send(const abi::vsock::PacketHeader& header, std::span<const std::byte> payload) override;
  void request_service() override;
  bool idle() override;

  static void run_thunk(void* device) { static_cast<VsockDevice*>(device)->run(); }
  void run();
  kernel::Status bring_up();
  kernel::Status set_up_queue(abi::vsock::Queue index, std::uint16_t indirect_segments, bool event_idx);
  kernel::Status allocate(DmaBuffer& buffer, std::size_t bytes);
  kernel::Status read_cid();
  void offer_rx(std::uint16_t index);
  void offer_event(std::uint16_t index);
  void handle_events();
  bool receive_packets();
  void reclaim();
  void rearm(bool more_received);
  void notify_all();
  void notify(abi::vsock::Queue index);
  void fail(std::string_view what);
  void check_device();
  Virtqueue& queue(abi::vsock::Queue index) { return queues_[static_cast<std::size_t>(index)]; }

  VirtioTransport& transport_;
  DmaMemory& dma_;
  kernel::WorkQueue& work_queue_;
  kernel::WorkItem work_{run_thunk, this};
  Config config_;
  VsockCounters counters_;
  VsockMux mux_;

  bool live_ = false;
  bool running_ = false;  ///< in run()
  bool service_again_ = false;
  unsigned restarts_ = 0;
  std::atomic<bool> config_changed_{false};
  std::uint64_t guest_cid_ = 0;
  std::array<Virtqueue, abi::vsock::kQueueCount> queues_;
  std::array<DmaBuffer, abi::vsock::kQueueCount> queue_memory_{};
  DmaBuffer rx_memory_;
  DmaBuffer tx_memory_;
  DmaBuffer event_memory_;
  std::uint16_t rx_count_ = 0;

  // Pages of tx_memory_: a free list, and for a packet in flight the list of its pages, named by the first.
  std::array<std::uint16_t, 4096> next_page_{};
  std::uint16_t free_page_ = kNoPage;
  std::uint16_t free_pages_ = 0;
};

}  // namespace guest::drivers
