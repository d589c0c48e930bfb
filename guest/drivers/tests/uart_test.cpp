#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "guest/drivers/ns16550a.hpp"
#include "guest/drivers/pl011.hpp"

namespace {

using guest::drivers::Mmio;
using guest::drivers::Ns16550a;
using guest::drivers::Pl011;

/// Checks the access width, then asks the model.
class Model : public Mmio {
 public:
  explicit Model(unsigned width_bytes) : width_bytes_(width_bytes) {}
  virtual ~Model() = default;
  std::uint8_t read8(std::uint32_t offset) override { return static_cast<std::uint8_t>(checked_load(offset, 1)); }
  std::uint16_t read16(std::uint32_t offset) override { return static_cast<std::uint16_t>(checked_load(offset, 2)); }
  std::uint32_t read32(std::uint32_t offset) override { return checked_load(offset, 4); }
  void write8(std::uint32_t offset, std::uint8_t value) override { checked_store(offset, value, 1); }
  void write16(std::uint32_t offset, std::uint16_t value) override { checked_store(offset, value, 2); }
  void write32(std::uint32_t offset, std::uint32_t value) override { checked_store(offset, value, 4); }

  std::string sent;
  std::deque<unsigned> input;  ///< values of the data register, error bits included
  bool transmitter_stuck = false;
  unsigned busy_reads_per_byte = 0;
  unsigned status_reads = 0;

 protected:
  virtual std::uint32_t load(std::uint32_t offset) = 0;
  virtual void store(std::uint32_t offset, std::uint32_t value) = 0;

  void take(std::uint32_t value) {
    sent.push_back(static_cast<char>(value));
    busy_left_ = busy_reads_per_byte;
  }
  bool transmitter_full() {
    ++status_reads;
    if (busy_left_ > 0) {
      --busy_left_;
      return true;
    }
    return transmitter_stuck;
  }

 private:
  std::uint32_t checked_load(std::uint32_t offset, unsigned bytes) {
    EXPECT_EQ(bytes, width_bytes_);
    return load(offset);
  }
  void checked_store(std::uint32_t offset, std::uint32_t value, unsigned bytes) {
    EXPECT_EQ(bytes, width_bytes_);
    store(offset, value);
  }
  unsigned width_bytes_;
  unsigned busy_left_ = 0;
};

class Pl011Model final : public Model {
 public:
  Pl011Model() : Model(4) {}
  std::map<std::uint32_t, std::uint32_t> registers;
  bool flushes_on_line_control = false;  ///< switching the FIFO on drops its bytes ...
  bool sender_held = false;              ///< ... and their sender waits until the data register is read
  /// The interrupt line: the receiver has bytes and they are not masked.
  bool line() { return !input.empty() && (registers[0x38] & 0x50) != 0; }

 protected:
  std::uint32_t load(std::uint32_t offset) override {
    if (offset == 0x18) {
      const bool full = transmitter_full();
      return (input.empty() ? 0x10U : 0U) | (full ? 0x20U : 0U);
    }
    if (offset == 0x00 && input.empty()) {
      sender_held = false;
      return 0;
    }
    if (offset == 0x00) {
      const unsigned value = input.front();
      input.pop_front();
      return value;
    }
    return registers[offset];
  }
  void store(std::uint32_t offset, std::uint32_t value) override {
    if (offset == 0x2c && flushes_on_line_control && !input.empty()) {
      input.clear();
      sender_held = true;
    }
    if (offset == 0x00) {
      EXPECT_EQ(registers[0x30] & 0x101, 0x101U) << "sent while disabled";
      take(value);
    } else if (offset == 0x2c) {
      EXPECT_EQ(registers[0x30], 0U) << "DDI 0183: line control changes only while disabled";
    }
    registers[offset] = value;
  }
};

class Ns16550Model final : public Model {
 public:
  Ns16550Model(unsigned shift, unsigned width) : Model(width), shift_(shift) {}
  std::map<std::uint32_t, std::uint32_t> registers;

 protected:
  std::uint32_t load(std::uint32_t offset) override {
    EXPECT_EQ(offset % (1U << shift_), 0U);
    switch (offset >> shift_) {
      case 0: {
        const unsigned value = input.front() & 0xff;
        input.pop_front();
        return value;
      }
      case 5: {
        const bool full = transmitter_full();
        return (full ? 0U : 0x20U) | (input.empty() ? 0U : 1U | (input.front() >> 8));
      }
      default:
        return registers[offset >> shift_];
    }
  }
  void store(std::uint32_t offset, std::uint32_t value) override {
    EXPECT_EQ(offset % (1U << shift_), 0U);
    if (offset >> shift_ == 0) {
      take(value);
    }
    registers[offset >> shift_] = value;
  }

 private:
  unsigned shift_;
};

struct Input {
  guest::kernel::WorkQueue queue;
  int raised = 0;
  guest::kernel::WorkItem item{[](void* self) { ++static_cast<Input*>(self)->raised; }, this};
};

std::string read_all(guest::drivers::Uart& uart) {
  std::string text;
  std::byte buffer[100];
  for (std::size_t count = uart.read(buffer); count != 0; count = uart.read(buffer)) {
    for (std::size_t i = 0; i < count; ++i) text.push_back(static_cast<char>(buffer[i]));
  }
  return text;
}

TEST(Pl011, init_enables_transmitter_receiver_and_fifo_with_interrupts_masked) {
  Pl011Model model;
  Pl011 uart(model);
  uart.init();
  EXPECT_EQ(model.registers[0x30], 0x301U);
  EXPECT_EQ(model.registers[0x2c], 0x70U);
  EXPECT_EQ(model.registers[0x38], 0U);
}

TEST(Pl011, bytes_typed_before_init_reach_the_reader) {
  Pl011Model model;
  Input input;
  model.input = {'a', 'b'};
  Pl011 uart(model);
  uart.init();
  uart.start_receiving(input.queue, input.item);
  while (input.queue.run_one()) {
  }
  EXPECT_EQ(input.raised, 1);
  EXPECT_EQ(read_all(uart), "ab");
}

TEST(Pl011, sender_whose_byte_went_with_the_fifo_may_go_on) {
  // Regression: QEMU's port waits for a read of the data register, and the shell never heard a key.
  Pl011Model model;
  model.flushes_on_line_control = true;
  model.input = {'a'};
  Pl011 uart(model);
  uart.init();
  EXPECT_FALSE(model.sender_held);
}

TEST(Pl011, write_waits_while_the_fifo_is_full) {
  Pl011Model model;
  model.busy_reads_per_byte = 7;
  Pl011 uart(model);
  uart.init();
  uart.write("sis> ");
  EXPECT_EQ(model.sent, "sis> ");
  EXPECT_EQ(uart.tx_dropped(), 0U);
}

TEST(Pl011, write_to_a_dead_transmitter_drops_counts_and_returns) {
  Pl011Model model;
  Pl011 uart(model);
  uart.init();
  model.transmitter_stuck = true;
  model.status_reads = 0;
  uart.write(std::string(1000, 'x'));
  EXPECT_EQ(model.sent, "");
  EXPECT_EQ(uart.tx_dropped(), 1000U);
  EXPECT_LE(model.status_reads, Pl011::kMaxPolls + 1000) << "only the first byte may wait";
}

TEST(Pl011, write_resumes_when_the_transmitter_recovers) {
  Pl011Model model;
  Pl011 uart(model);
  uart.init();
  model.transmitter_stuck = true;
  uart.write("lost");
  model.transmitter_stuck = false;
  model.busy_reads_per_byte = 3;
  uart.write("kept");
  EXPECT_EQ(model.sent, "kept");
}

TEST(Pl011, interrupt_moves_bytes_and_raises_the_work_once) {
  Pl011Model model;
  Input input;
  Pl011 uart(model);
  uart.init();
  uart.start_receiving(input.queue, input.item);
  model.input = {'a', 'b', 'c'};
  Pl011::interrupt_thunk(&uart);
  while (input.queue.run_one()) {
  }
  EXPECT_EQ(input.raised, 1);
  EXPECT_EQ(read_all(uart), "abc");
}

TEST(Pl011, bytes_with_errors_are_counted_and_left_out) {
  Pl011Model model;
  Input input;
  Pl011 uart(model);
  uart.init();
  uart.start_receiving(input.queue, input.item);
  model.input = {'a', 'b' | 0x100, 'c' | 0x200, 'd' | 0x400, 'e' | 0x800};  // framing, parity, break, overrun
  uart.on_interrupt();
  EXPECT_EQ(read_all(uart), "ae");
  EXPECT_EQ(uart.rx_errors(), 3U);
}

TEST(Pl011, full_ring_holds_the_sender_back_and_loses_nothing) {
  Pl011Model model;
  Input input;
  Pl011 uart(model);
  uart.init();
  uart.start_receiving(input.queue, input.item);
  std::string expected;
  for (unsigned i = 0; i < 3 * Pl011::kInputBytes; ++i) {
    model.input.push_back('a' + i % 26);
    expected.push_back(static_cast<char>('a' + i % 26));
  }
  std::string got;
  int rounds = 0;
  while (got.size() < expected.size() && ++rounds < 100) {
    for (int interrupts = 0; model.line(); ++interrupts) {
      ASSERT_LT(interrupts, 1000) << "interrupt storm while the ring is full";
      uart.on_interrupt();
    }
    got += read_all(uart);
  }
  EXPECT_EQ(got, expected);
}

TEST(Pl011, one_interrupt_is_bounded_under_a_flood) {
  Pl011Model model;
  Input input;
  Pl011 uart(model);
  uart.init();
  uart.start_receiving(input.queue, input.item);
  model.input.assign(1000, 'x');
  uart.on_interrupt();
  EXPECT_GE(model.input.size(), 900U);
}

class Ns16550 : public testing::TestWithParam<std::pair<unsigned, unsigned>> {};

TEST_P(Ns16550, output_and_input_work_with_any_spacing_and_width) {
  const auto [shift, width] = GetParam();
  Ns16550Model model(shift, width);
  Input input;
  Ns16550a uart(model,
                {.reg_shift = static_cast<std::uint8_t>(shift), .io_width_bytes = static_cast<std::uint8_t>(width)});
  uart.init();
  model.busy_reads_per_byte = 2;
  uart.write("hello\n");
  EXPECT_EQ(model.sent, "hello\n");
  EXPECT_EQ(model.registers[3], 3U) << "8 data bits, divisor latch closed";
  EXPECT_EQ(model.registers[1], 0U) << "interrupts masked before input starts";

  uart.start_receiving(input.queue, input.item);
  EXPECT_EQ(model.registers[1], 5U);
  // Line status errors of the byte in front: overrun 0x02 keeps the byte, parity 0x04, framing 0x08, break 0x10 do not.
  model.input = {'x', 'y' | 0x200, 'z' | 0x400, 'z' | 0x800, 'z' | 0x1000, '!'};
  uart.on_interrupt();
  EXPECT_EQ(read_all(uart), "xy!");
  EXPECT_EQ(uart.rx_errors(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Ns16550,
                         testing::Values(std::pair{0U, 1U}, std::pair{1U, 2U}, std::pair{2U, 4U}, std::pair{2U, 1U}));

TEST(Ns16550Polled, dead_transmitter_does_not_hang) {
  Ns16550Model model(0, 1);
  Ns16550a uart(model, {});
  uart.init();
  model.transmitter_stuck = true;
  uart.write("lost");
  EXPECT_EQ(uart.tx_dropped(), 4U);
}

}  // namespace
