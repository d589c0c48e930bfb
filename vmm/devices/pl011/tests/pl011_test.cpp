#include "vmm/devices/pl011/pl011.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace vmm {
namespace {

constexpr std::uint64_t DR = 0x00, RSR = 0x04, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30,
                        IFLS = 0x34, IMSC = 0x38, RIS = 0x3c, MIS = 0x40, ICR = 0x44, DMACR = 0x48;
constexpr std::uint64_t kRxEmpty = 1 << 4, kRxFull = 1 << 6, kTxEmpty = 1 << 7;
constexpr std::uint64_t kRx = 1 << 4, kTx = 1 << 5, kTimeout = 1 << 6, kOverrun = 1 << 10;
constexpr std::uint64_t kFifoOn = 0x70, kOn = 0x301, kLoopback = 0x80;

struct FakeLine final : mmio::InterruptLine {
  bool level = false;
  int changes = 0;
  void set(bool asserted) override {
    level = asserted;
    ++changes;
  }
};

struct Pl011Test : ::testing::Test {
  FakeLine line;
  int output_ready = 0, input_room = 0;
  Pl011 uart{line, {.output_ready = [this] { ++output_ready; }, .input_room = [this] { ++input_room; }}};

  std::uint64_t get(std::uint64_t offset) { return uart.read(offset, 4); }
  void set(std::uint64_t offset, std::uint64_t value) { uart.write(offset, 4, value); }
  /// As Linux leaves it, but for the interrupts.
  void open() {
    set(LCR_H, kFifoOn);
    set(CR, kOn);
  }
  std::string read_all() {
    std::string text;
    while ((get(FR) & kRxEmpty) == 0) text.push_back(static_cast<char>(get(DR)));
    return text;
  }
};

TEST_F(Pl011Test, identification_is_that_of_an_r1p1) {
  const std::uint64_t expected[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (std::size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(get(0xfe0 + 4 * i), expected[i]);
}

TEST_F(Pl011Test, reset_values_are_the_manuals) {
  EXPECT_EQ(get(CR), 0x300u);
  EXPECT_EQ(get(IFLS), 0x12u);
  EXPECT_EQ(get(FR) & (kRxEmpty | kRxFull | kTxEmpty), kRxEmpty | kTxEmpty);
  for (const std::uint64_t offset : {RSR, IBRD, FBRD, LCR_H, IMSC, RIS, MIS, DMACR}) EXPECT_EQ(get(offset), 0u);
}

TEST_F(Pl011Test, registers_keep_the_bits_that_exist) {
  for (const auto& [offset, bits] : {std::pair{IBRD, 0xffffu},
                                     {FBRD, 0x3fu},
                                     {LCR_H, 0xffu},
                                     {IFLS, 0x3fu},
                                     {IMSC, 0x7ffu},
                                     {DMACR, 0x7u},
                                     {std::uint64_t{0x20}, 0xffu},
                                     {CR, 0xff87u}}) {
    set(offset, 0xffff'ffff);
    EXPECT_EQ(get(offset), bits) << offset;
  }
}

TEST_F(Pl011Test, misplaced_accesses_do_nothing) {
  open();
  uart.write(DR + 1, 1, 'x');
  uart.write(FR, 4, 0);
  uart.write(0xfe0, 4, 0);
  uart.write(0x80, 4, 1);
  EXPECT_EQ(uart.take_output(), "");
  EXPECT_EQ(uart.receive("a"), 1u);
  EXPECT_EQ(uart.read(DR + 1, 1), 0u);
  EXPECT_EQ(read_all(), "a");
}

TEST_F(Pl011Test, output_is_collected_and_announced_once) {
  open();
  for (const char c : std::string_view("hello\n")) uart.write(DR, 1, static_cast<std::uint8_t>(c));
  EXPECT_EQ(output_ready, 1);
  EXPECT_EQ(uart.take_output(), "hello\n");
  EXPECT_EQ(uart.take_output(), "");
  set(DR, 'x');
  EXPECT_EQ(output_ready, 2);
  EXPECT_EQ(uart.take_output(), "x");
}

TEST_F(Pl011Test, guest_that_never_enables_the_uart_is_heard) {
  set(DR, 'x');
  EXPECT_EQ(uart.take_output(), "x");
}

TEST_F(Pl011Test, full_output_holds_the_guest_until_it_is_taken) {
  open();
  std::atomic<std::size_t> written{0};
  std::thread guest([&] {
    for (std::size_t i = 0; i < 3 * Pl011::kOutputBytes; ++i) {
      uart.write(DR, 1, i % 251);
      ++written;
    }
  });
  std::string got;
  bool bounded = true;
  while (got.size() < 3 * Pl011::kOutputBytes) {
    const std::string_view part = uart.take_output();
    bounded = bounded && part.size() <= Pl011::kOutputBytes;
    got += part;
  }
  guest.join();
  EXPECT_TRUE(bounded);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(static_cast<std::uint8_t>(got[i]), i % 251) << i;
}

TEST_F(Pl011Test, shutdown_frees_a_guest_that_waits) {
  open();
  std::thread guest([&] {
    for (std::size_t i = 0; i < 2 * Pl011::kOutputBytes; ++i) uart.write(DR, 1, 'x');
  });
  uart.shutdown();
  guest.join();
  EXPECT_EQ(uart.take_output().size(), Pl011::kOutputBytes);
}

TEST_F(Pl011Test, transmit_interrupt_follows_a_byte) {
  open();
  set(IMSC, kTx);
  EXPECT_FALSE(line.level);
  set(DR, 'x');
  EXPECT_TRUE(line.level);
  set(ICR, kTx);
  EXPECT_FALSE(line.level);
}

TEST_F(Pl011Test, interrupt_comes_with_its_flags) {
  // Another CPU takes the interrupt and looks while the device still holds its lock.
  struct Handler final : mmio::InterruptLine {
    mmio::Device* uart = nullptr;
    std::vector<std::uint64_t> flags;
    void set(bool) override { flags.push_back(uart->read(FR, 4) & kRxEmpty); }
  } handler;
  Pl011 other(handler, {.output_ready = [] {}, .input_room = [] {}});
  handler.uart = &other;
  other.write(CR, 4, kOn);
  other.write(IMSC, 4, kRx);
  EXPECT_EQ(other.receive("a"), 1u);
  EXPECT_EQ(other.read(DR, 4), 'a');
  EXPECT_EQ(handler.flags, (std::vector<std::uint64_t>{0, kRxEmpty}));
}

TEST_F(Pl011Test, flags_promise_only_bytes_that_are_there) {
  open();
  constexpr std::size_t kBytes = 10'000;
  std::size_t missing = 0;
  std::thread guest([&] {
    for (std::size_t got = 0; got < kBytes;) {
      if ((uart.read(FR, 4) & kRxEmpty) != 0) continue;
      if (uart.read(DR, 4) != 'x') ++missing;
      ++got;
    }
  });
  for (std::size_t sent = 0; sent < kBytes;) sent += uart.receive("x");
  guest.join();
  EXPECT_EQ(missing, 0u);
}

TEST_F(Pl011Test, input_waits_for_the_receiver) {
  EXPECT_EQ(uart.receive("early"), 0u);
  set(LCR_H, kFifoOn);
  EXPECT_EQ(input_room, 0);
  set(CR, kOn);
  EXPECT_EQ(input_room, 1);
  EXPECT_EQ(uart.receive("early"), 5u);
  EXPECT_EQ(read_all(), "early");
  EXPECT_EQ(input_room, 1);
}

TEST_F(Pl011Test, fifo_takes_sixteen_bytes_and_tells_of_room) {
  open();
  EXPECT_EQ(uart.receive("0123456789abcdefgh"), 16u);
  EXPECT_NE(get(FR) & kRxFull, 0u);
  EXPECT_EQ(uart.receive("gh"), 0u);
  EXPECT_EQ(get(DR), '0');
  EXPECT_EQ(input_room, 1);
  EXPECT_EQ(get(FR) & kRxFull, 0u);
  EXPECT_EQ(uart.receive("gh"), 1u);
  EXPECT_EQ(get(DR), '1');
  EXPECT_EQ(input_room, 2);
  EXPECT_EQ(uart.receive("h"), 1u);
  EXPECT_EQ(read_all(), "23456789abcdefgh");
  EXPECT_EQ(input_room, 2);
}

TEST_F(Pl011Test, receiving_nothing_does_not_forget_what_waits) {
  open();
  EXPECT_EQ(uart.receive("0123456789abcdefgh"), 16u);
  EXPECT_EQ(uart.receive(""), 0u);
  (void)get(DR);
  EXPECT_EQ(input_room, 1);
}

TEST_F(Pl011Test, character_mode_holds_one_byte) {
  set(CR, kOn);
  EXPECT_EQ(uart.receive("ab"), 1u);
  EXPECT_NE(get(FR) & kRxFull, 0u);
  EXPECT_EQ(get(RIS), kRx | kTimeout);
  EXPECT_EQ(get(DR), 'a');
  EXPECT_EQ(get(RIS), 0u);
}

TEST_F(Pl011Test, switching_the_fifo_off_loses_nothing) {
  open();
  EXPECT_EQ(uart.receive("abc"), 3u);
  set(LCR_H, 0);
  EXPECT_NE(get(FR) & kRxFull, 0u);
  EXPECT_EQ(uart.receive("d"), 0u);
  EXPECT_EQ(read_all(), "abc");
}

TEST_F(Pl011Test, empty_fifo_reads_zero) {
  open();
  EXPECT_EQ(get(DR), 0u);
  EXPECT_NE(get(FR) & kRxEmpty, 0u);
}

TEST_F(Pl011Test, short_input_raises_the_timeout_until_it_is_read) {
  open();
  set(IMSC, kRx | kTimeout);
  EXPECT_EQ(uart.receive("ab"), 2u);
  EXPECT_TRUE(line.level);
  EXPECT_EQ(get(MIS), kTimeout);
  EXPECT_EQ(get(DR), 'a');
  EXPECT_TRUE(line.level);
  EXPECT_EQ(get(DR), 'b');
  EXPECT_FALSE(line.level);
  EXPECT_EQ(line.changes, 2);
}

TEST_F(Pl011Test, receive_interrupt_comes_at_each_trigger_level) {
  const std::size_t levels[] = {2, 4, 8, 12, 14};
  for (std::uint64_t select = 0; select < std::size(levels); ++select) {
    open();
    set(IFLS, select << 3);
    set(IMSC, kRx | kTimeout);
    const std::string below(levels[select] - 1, 'x');
    EXPECT_EQ(uart.receive(below), below.size());
    EXPECT_EQ(get(RIS) & kRx, 0u) << select;
    EXPECT_EQ(uart.receive("x"), 1u);
    EXPECT_EQ(get(RIS) & kRx, kRx) << select;
    (void)get(DR);
    EXPECT_EQ(get(RIS) & kRx, 0u) << select;
    read_all();
  }
}

TEST_F(Pl011Test, guest_without_the_timeout_hears_of_every_byte) {
  open();
  set(IMSC, kRx);
  EXPECT_EQ(uart.receive("ab"), 2u);
  EXPECT_TRUE(line.level);
  EXPECT_EQ(get(DR), 'a');
  set(ICR, kRx);  // reads one byte for each interrupt and clears it, as QEMU lets guests do
  EXPECT_TRUE(line.level);
  EXPECT_EQ(get(DR), 'b');
  EXPECT_FALSE(line.level);
}

TEST_F(Pl011Test, timeout_cleared_with_bytes_left_comes_again) {
  open();
  set(IMSC, kTimeout);
  EXPECT_EQ(uart.receive("a"), 1u);
  set(ICR, 0x7ff);
  EXPECT_TRUE(line.level);
  (void)get(DR);
  EXPECT_FALSE(line.level);
}

TEST_F(Pl011Test, bytes_before_the_mask_raise_the_interrupt_with_it) {
  open();
  EXPECT_EQ(uart.receive("a"), 1u);
  EXPECT_FALSE(line.level);
  set(IMSC, kTimeout);
  EXPECT_TRUE(line.level);
  set(IMSC, 0);
  EXPECT_FALSE(line.level);
}

TEST_F(Pl011Test, loopback_returns_bytes_and_cuts_both_directions) {
  open();
  set(CR, kOn | kLoopback);
  set(DR, 'x');
  EXPECT_EQ(uart.take_output(), "");
  EXPECT_EQ(uart.receive("y"), 0u);
  EXPECT_EQ(read_all(), "x");
  EXPECT_EQ(input_room, 0);
  set(CR, kOn);
  EXPECT_EQ(input_room, 1);
}

TEST_F(Pl011Test, loopback_overrun_is_reported_and_cleared) {
  open();
  set(CR, kOn | kLoopback);
  for (int i = 0; i < 17; ++i) set(DR, 'x');
  EXPECT_EQ(get(RSR), 8u);
  EXPECT_EQ(get(RIS) & kOverrun, kOverrun);
  EXPECT_EQ(get(DR), 0x800u | 'x');
  set(RSR, 0);
  EXPECT_EQ(get(DR), 'x');
  set(ICR, kOverrun);
  EXPECT_EQ(get(RIS) & kOverrun, 0u);
}

TEST_F(Pl011Test, loopback_connects_the_modem_lines) {
  EXPECT_EQ(get(FR) & 0x107, 0x007u);
  set(CR, kOn | kLoopback | 1 << 11 | 1 << 13);  // RTS to CTS, OUT2 to RI
  EXPECT_EQ(get(FR) & 0x107, 0x101u);
  EXPECT_EQ(get(RIS) & 0xf, 0xdu);  // CTS alone did not change
}

TEST_F(Pl011Test, saved_state_goes_on_in_another_uart) {
  open();
  set(IMSC, kTimeout);
  EXPECT_EQ(uart.receive("0123456789abcdef"), 16u);
  for (int i = 0; i < 3; ++i) (void)get(DR);
  EXPECT_EQ(uart.receive("gh"), 2u);  // around the end of the FIFO
  const Pl011State state = uart.save();
  FakeLine other_line;
  Pl011 other(other_line, {.output_ready = [] {}, .input_room = [] {}});
  ASSERT_TRUE(other.restore(state));
  EXPECT_TRUE(other_line.level);
  std::string text;
  while ((other.read(FR, 4) & kRxEmpty) == 0) text.push_back(static_cast<char>(other.read(DR, 4)));
  EXPECT_EQ(text, "3456789abcdefgh");
  EXPECT_FALSE(other_line.level);
  EXPECT_EQ(other.read(LCR_H, 4), kFifoOn);
}

TEST_F(Pl011Test, impossible_states_are_refused_by_field) {
  Pl011State state;
  state.fifo_count = 17;
  EXPECT_EQ(uart.restore(state).error().message, "saved PL011 state: fifo_count is 17");
  state = {};
  state.fifo_first = 16;
  EXPECT_EQ(uart.restore(state).error().message, "saved PL011 state: fifo_first is 16");
  state = {};
  state.cr = 0x10000;
  EXPECT_EQ(uart.restore(state).error().message, "saved PL011 state: cr is 65536");
  EXPECT_EQ(get(CR), 0x300u);
}

}  // namespace
}  // namespace vmm
