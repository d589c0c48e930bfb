// A guest that does everything wrong: two CPUs at once write garbage to every register of a virtio device and of its
// neighbours, and garbage into the memory of its queues; now and then one of them sets the device up properly, so that
// the garbage is looked at. It ends by itself and says what it saw:
//
//   HOSTILE accesses=N set_up=N needs_reset=N
#include <cstddef>
#include <cstdint>
#include <initializer_list>

extern "C" {
extern volatile std::uint64_t seed;
extern std::byte image_end[];
void start_other();
[[noreturn]] void run_first();
[[noreturn]] void run_other();
}

namespace {

// The KVM machine's address map (docs/kvm.md).
constexpr std::uint64_t kVirtio = 0x0a00'0000;
constexpr std::uint64_t kUart = 0x0900'0000;
constexpr std::uint64_t kClock = 0x0901'0000;
constexpr std::uint64_t kRam = 0x4000'0000;
constexpr std::uint64_t kRamBytes = 64 << 20;

/// Queues and what they point to: behind the image, in the middle of the smallest memory.
constexpr std::uint64_t kArea = kRam + (16 << 20);
constexpr std::uint64_t kAreaBytes = 256 * 1024;

constexpr unsigned kRounds = 4000;

/// Virtio Over MMIO: the registers that exist.
constexpr std::uint16_t kRegisters[] = {0x000, 0x004, 0x008, 0x00c, 0x010, 0x014, 0x020, 0x024, 0x030, 0x034,
                                        0x038, 0x044, 0x050, 0x060, 0x064, 0x070, 0x080, 0x084, 0x090, 0x094,
                                        0x0a0, 0x0a4, 0x0ac, 0x0b0, 0x0b4, 0x0b8, 0x0bc, 0x0fc, 0x100, 0x104};
enum Register : std::uint16_t {
  kDeviceFeatures = 0x010,
  kDeviceFeaturesSel = 0x014,
  kDriverFeatures = 0x020,
  kDriverFeaturesSel = 0x024,
  kQueueSel = 0x030,
  kQueueNum = 0x038,
  kQueueReady = 0x044,
  kQueueNotify = 0x050,
  kInterruptAck = 0x064,
  kStatus = 0x070,
  kQueueDesc = 0x080,
  kQueueDriver = 0x090,
  kQueueDevice = 0x0a0,
};
constexpr std::uint32_t kNeedsReset = 0x40;
constexpr std::uint32_t kDriverOk = 0x0f;  // and what comes before it
constexpr unsigned kQueues = 3;

std::uint64_t psci(std::uint64_t function, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
  register std::uint64_t x0 asm("x0") = function;
  register std::uint64_t x1 asm("x1") = a;
  register std::uint64_t x2 asm("x2") = b;
  register std::uint64_t x3 asm("x3") = c;
  asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "x4", "x5", "x6", "x7", "memory");
  return x0;
}
constexpr std::uint64_t kSystemOff = 0x8400'0008;
constexpr std::uint64_t kCpuOff = 0x8400'0002;
constexpr std::uint64_t kCpuOn = 0xc400'0003;

/// xorshift64*.
class Random {
 public:
  explicit Random(std::uint64_t start) : state_(start * 0x9e37'79b9'7f4a'7c15 | 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545'f491'4f6c'dd1d;
  }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>((next() >> 32) % limit); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// Single loads and stores of a register without write-back: others have no syndrome.
void store(std::uint64_t address, unsigned size, std::uint64_t value) {
  switch (size) {
    case 1:
      asm volatile("strb %w0, [%1]" : : "r"(value), "r"(address) : "memory");
      return;
    case 2:
      asm volatile("strh %w0, [%1]" : : "r"(value), "r"(address) : "memory");
      return;
    case 4:
      asm volatile("str %w0, [%1]" : : "r"(value), "r"(address) : "memory");
      return;
    default:
      asm volatile("str %x0, [%1]" : : "r"(value), "r"(address) : "memory");
  }
}
std::uint32_t load(std::uint64_t address) {
  std::uint32_t value;
  asm volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
  return value;
}

struct Totals {
  std::uint64_t accesses = 0;
  std::uint64_t set_up = 0;
  std::uint64_t needs_reset = 0;
};

class Vandal {
 public:
  explicit Vandal(std::uint64_t start) : random_(start) {}

  Totals run() {
    for (unsigned round = 0; round < kRounds; ++round) act();
    return totals_;
  }

 private:
  void act() {
    switch (random_.below(16)) {
      case 0:
        return set_up();
      case 1:
        return scribble();
      case 2:
      case 3:
        return look();
      case 4:
      case 5:
      case 6:
        return write(kVirtio + kQueueNotify, 4, random_.below(5));
      case 7:
        return elsewhere();
      default:
        return write(kVirtio + any_register(), any_size(), any_value());
    }
  }

  void write(std::uint64_t address, unsigned size, std::uint64_t value) {
    ++totals_.accesses;
    store(address & ~std::uint64_t{size - 1}, size, value);
  }
  std::uint32_t read(std::uint64_t address) {
    ++totals_.accesses;
    return load(address & ~std::uint64_t{3});
  }

  std::uint64_t any_register() {
    return random_.one_in(4) ? random_.below(0x200) : kRegisters[random_.below(sizeof kRegisters / sizeof *kRegisters)];
  }
  unsigned any_size() { return random_.one_in(8) ? 1U << random_.below(4) : 4; }
  std::uint64_t any_value() {
    switch (random_.below(6)) {
      case 0:
        return random_.next();
      case 1:
        return std::uint64_t{1} << random_.below(64);
      case 2:
        return ~std::uint64_t{0};
      case 3:
        return any_address();
      default:
        return random_.below(17);
    }
  }
  std::uint64_t any_address() {
    switch (random_.below(8)) {
      case 0:
        return random_.next();
      case 1:
        return kRam + kRamBytes - random_.below(64);  // across the end
      case 2:
        return kVirtio + random_.below(0x1000);
      default:
        return kArea + random_.below(kAreaBytes);
    }
  }

  /// What a driver does first; each step may be left out.
  void set_up() {
    ++totals_.set_up;
    const auto step = [&](std::uint16_t offset, std::uint64_t value) {
      if (!random_.one_in(40)) write(kVirtio + offset, 4, value);
    };
    step(kStatus, 0);
    step(kStatus, 1);
    step(kStatus, 3);
    for (const std::uint32_t half : {0U, 1U}) {
      step(kDeviceFeaturesSel, half);
      const std::uint32_t offered = read(kVirtio + kDeviceFeatures);
      step(kDriverFeaturesSel, half);
      step(kDriverFeatures, half == 0 && random_.one_in(2) ? offered & random_.next() : offered);
    }
    step(kStatus, 0xb);
    const std::uint32_t queues = 2 + random_.below(2);
    for (std::uint32_t queue = 0; queue < queues; ++queue) {
      // A kilobyte-aligned place of its own; with another queue's once in a while.
      const std::uint64_t base = kArea + (random_.one_in(10) ? 0 : queue * 0x1'0000);
      step(kQueueSel, queue);
      step(kQueueNum, 1U << random_.below(8));
      for (const auto [offset, part] : {Part{kQueueDesc, 0}, Part{kQueueDriver, 0x4000}, Part{kQueueDevice, 0x8000}}) {
        step(offset, base + part);
        step(offset + 4, 0);
      }
      step(kQueueReady, 1);
      make_rings(base);
    }
    step(kStatus, kDriverOk);
    for (std::uint32_t queue = 0; queue < queues; ++queue) step(kQueueNotify, queue);
  }

  struct Part {
    std::uint16_t offset;
    std::uint16_t part;
  };

  /// Descriptors that are nearly right, and packets behind them that are (VIRTIO 1.2: Split Virtqueues, Socket Device).
  void make_rings(std::uint64_t base) {
    const std::uint64_t buffers = base + 0xc000;
    for (std::uint32_t i = 0; i < 128; ++i) {
      const std::uint64_t address = random_.one_in(30) ? any_address() : buffers + random_.below(0x3000);
      const std::uint64_t flags = random_.one_in(20) ? random_.next() & 0xffff : random_.below(4);
      const std::uint64_t next = random_.one_in(20) ? random_.next() & 0xffff : random_.below(128);
      const std::uint64_t length = random_.one_in(20) ? random_.next() & 0xffff'ffff : 44 + random_.below(2000);
      store(base + i * 16, 8, address);
      store(base + i * 16 + 8, 8, length | flags << 32 | next << 48);
    }
    for (std::uint32_t i = 0; i < 128; ++i)
      store(base + 0x4000 + 4 + i * 2, 2, random_.below(random_.one_in(50) ? 65536 : 64));
    store(base + 0x4000, 2, random_.below(4));
    store(base + 0x4000 + 2, 2, random_.one_in(10) ? random_.next() : random_.below(64));
    for (std::uint64_t packet = buffers; packet < buffers + 0x3000; packet += 64) {
      store(packet, 8, 3);      // src_cid
      store(packet + 8, 8, 2);  // dst_cid
      store(packet + 16, 4, random_.below(4) + 5000);
      store(packet + 20, 4, (1U << 30) + random_.below(64));
      store(packet + 24, 4, random_.one_in(4) ? random_.next() : random_.below(2000));
      store(packet + 28, 4, 1 | random_.below(9) << 16);  // stream, any operation
      store(packet + 32, 8, random_.next());
      store(packet + 40, 4, random_.next());
    }
  }

  /// Garbage into the queues while the device may be at them.
  void scribble() {
    for (unsigned i = 0; i < 64; ++i) store(kArea + (random_.below(kAreaBytes) & ~7U), 8, random_.next());
  }

  void look() {
    const std::uint32_t status = read(kVirtio + (random_.one_in(2) ? std::uint64_t{kStatus} : any_register()));
    static_cast<void>(status);
    const std::uint32_t now = read(kVirtio + kStatus);
    if ((now & kNeedsReset) == 0) return;
    ++totals_.needs_reset;
    write(kVirtio + kInterruptAck, 4, 3);
    if (random_.one_in(2)) write(kVirtio + kStatus, 4, 0);
  }

  /// The clock, the UART but for what it prints and whether it does, and where nothing is.
  void elsewhere() {
    switch (random_.below(4)) {
      case 0:
        return write(kClock + random_.below(0x1000), any_size(), any_value());
      case 1: {
        const std::uint64_t offset = 4 + random_.below(0xffc);
        return write(kUart + (offset < 8 ? 8 : offset), any_size(), any_value());
      }
      case 2:
        static_cast<void>(read(kUart + random_.below(0x1000)));
        return static_cast<void>(read(kClock + random_.below(0x1000)));
      default:
        return write(0x0b00'0000 + random_.below(0x10'0000), any_size(), any_value());
    }
  }

  Random random_;
  Totals totals_;
};

volatile std::uint32_t other_is_done;
Totals of_other;

void print(const char* text) {
  for (; *text != 0; ++text) store(kUart, 4, static_cast<std::uint8_t>(*text));
}
void print(const char* name, std::uint64_t number) {
  char digits[21];
  char* first = digits + 20;
  *first = 0;
  do {
    *--first = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  print(name);
  print(first);
}

}  // namespace

void run_first() {
  psci(kCpuOn, 1, reinterpret_cast<std::uint64_t>(&start_other));
  Totals totals = Vandal(seed * 2).run();
  while (other_is_done == 0) {
  }
  totals.accesses += of_other.accesses;
  totals.set_up += of_other.set_up;
  totals.needs_reset += of_other.needs_reset;
  constexpr std::uint64_t kUartControl = 0x30;
  constexpr std::uint64_t kUartLine = 0x2c;
  store(kUart + kUartLine, 4, 0);
  store(kUart + kUartControl, 4, 0x301);
  print("\nHOSTILE accesses=", totals.accesses);
  print(" set_up=", totals.set_up);
  print(" needs_reset=", totals.needs_reset);
  print("\n");
  psci(kSystemOff);
  for (;;) {
  }
}

void run_other() {
  of_other = Vandal(seed * 2 + 1).run();
  other_is_done = 1;
  psci(kCpuOff);
  for (;;) {
  }
}
