// The KVM wrappers on a real KVM, with guests of a few instructions (programs.S).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "vmm/hypervisor/kvm/gic.hpp"
#include "vmm/hypervisor/kvm/kvm.hpp"
#include "vmm/hypervisor/kvm/vcpu.hpp"
#include "vmm/hypervisor/kvm/vm.hpp"

#define DECLARE(name)                        \
  extern "C" const std::byte guest_##name[]; \
  extern "C" const std::byte guest_##name##_end[]
#define PROGRAM(name) std::span<const std::byte>(guest_##name, guest_##name##_end)

DECLARE(power_off);
DECLARE(reset);
DECLARE(spin);
DECLARE(accesses);
DECLARE(undecodable);
DECLARE(doorbell);
DECLARE(interrupts);
DECLARE(second_cpu);
DECLARE(pmu);
DECLARE(stolen_time);

namespace vmm::kvm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

using Reason = VcpuExit::Reason;

constexpr Gpa kRam{0x4000'0000};
constexpr std::size_t kRamBytes = 0x20'0000;
constexpr Gpa kDevice{0x0a00'0000};
constexpr Gpa kDistributor{0x0800'0000};
constexpr Gpa kRedistributors{0x080a'0000};
constexpr Gpa kCpuInterface{0x0801'0000};
// As in programs.S.
constexpr std::uint64_t kReport = 0x100;
constexpr std::uint64_t kReady = 0x200;
constexpr std::uint32_t kSpi = 40;
constexpr std::uint64_t kSpiId = 72;
constexpr std::uint64_t kEdge = 2 << 16;
constexpr std::uint64_t kLevel = 0;

/// What the test's device reads as, cut to the access's size.
constexpr std::uint64_t kPattern = 0xfedc'ba98'f6f5'74f3;

struct Write {
  std::uint64_t offset;
  unsigned size_bytes;
  std::uint64_t value;
  bool operator==(const Write&) const = default;
};
void PrintTo(const Write& write, std::ostream* out) {
  *out << std::hex << "[" << write.offset << "] = " << write.value << " (" << write.size_bytes << " bytes)";
}

/// Keeps what is written, with what lies beyond an access's size cut off.
class Recorder : public mmio::Device {
 public:
  std::uint64_t read(std::uint64_t /*offset*/, unsigned /*size_bytes*/) override { return kPattern; }
  void write(std::uint64_t offset, unsigned size_bytes, std::uint64_t value) override {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t mask = size_bytes == 8 ? ~0ULL : (1ULL << (8 * size_bytes)) - 1;
    writes_.push_back({offset, size_bytes, value & mask});
    if (on_write) on_write(writes_.back());
  }
  [[nodiscard]] std::vector<Write> writes() const {
    const std::scoped_lock lock(mutex_);
    return writes_;
  }
  /// The values written to REPORT.
  [[nodiscard]] std::vector<std::uint64_t> reports() const {
    std::vector<std::uint64_t> values;
    for (const Write& write : writes()) {
      if (write.offset == kReport) values.push_back(write.value);
    }
    return values;
  }

  std::function<void(const Write&)> on_write;

 private:
  mutable std::mutex mutex_;
  std::vector<Write> writes_;
};

/// A machine with the test's device and one or two CPUs, the first of which starts at the program.
class Machine {
 public:
  explicit Machine(std::span<const std::byte> program, unsigned cpus = 1, VcpuConfig config = {}) {
    kvm_.emplace(Kvm::open().value());
    vm_.emplace(kvm_->create_vm(36).value());
    ram_ = MappedRegion::anonymous(kRamBytes).value();
    std::memcpy(ram_.data(), program.data(), program.size());
    vm_->set_memory(0, kRam, GuestSlice(ram_.data(), ram_.size())).value();
    for (unsigned i = 0; i < cpus; ++i) {
      vcpus_.push_back(vm_->create_vcpu(i).value());
      config.powered_off = i > 0;
      vcpus_.back().init(*vm_, config).value();
    }
    set_register(20, kDevice.value());
    vcpus_.front().set(RegisterId::Pc, kRam.value()).value();
    bus_.add("recorder", kDevice, 0x1000, device_).value();
  }

  void set_register(unsigned number, std::uint64_t value) {
    const auto id = static_cast<RegisterId>(static_cast<std::uint64_t>(RegisterId::X0) + 2ULL * number);
    vcpus_.front().set(id, value).value();
  }

  void add_gic() {
    const bool v3 = vm_->supports(DeviceType::GicV3);
    gic_.emplace(Gic::create(*vm_, {.version = v3 ? DeviceType::GicV3 : DeviceType::GicV2,
                                    .distributor = kDistributor,
                                    .cpu_interface = kCpuInterface,
                                    .redistributors = kRedistributors,
                                    .cpus = static_cast<std::uint32_t>(vcpus_.size())})
                     .value());
  }

  VcpuExit run(unsigned cpu = 0) { return vcpus_[cpu].run(bus_); }

  [[nodiscard]] Kvm& kvm() { return *kvm_; }
  [[nodiscard]] Vm& vm() { return *vm_; }
  [[nodiscard]] Vcpu& vcpu(unsigned index = 0) { return vcpus_[index]; }
  [[nodiscard]] Recorder& device() { return device_; }

 private:
  std::optional<Kvm> kvm_;
  std::optional<Vm> vm_;
  MappedRegion ram_;
  std::vector<Vcpu> vcpus_;
  std::optional<Gic> gic_;
  Recorder device_;
  mmio::Bus bus_;
};

/// Makes SIGUSR1 interrupt a system call and do nothing else.
void install_kick() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
}

/// A virtual CPU on a thread of its own.
class Runner {
 public:
  Runner(Machine& machine, unsigned cpu) : vcpu_(machine.vcpu(cpu)) {
    thread_ = std::thread([this, &machine, cpu] { exit_.set_value(machine.run(cpu)); });
  }
  VcpuExit stop() {
    vcpu_.request_exit();
    pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
    return exit_.get_future().get();
  }

 private:
  Vcpu& vcpu_;
  std::promise<VcpuExit> exit_;
  std::thread thread_;
};

TEST(Hypervisor, GuestPowersOff) {
  Machine machine(PROGRAM(power_off));
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
}

TEST(Hypervisor, GuestAsksForAReset) {
  Machine machine(PROGRAM(reset));
  EXPECT_EQ(machine.run().reason, Reason::Reset);
}

TEST(Hypervisor, MachineStartsAgainAfterItsReset) {
  Machine machine(PROGRAM(reset));
  EXPECT_EQ(machine.run().reason, Reason::Reset);
  machine.vcpu().init(machine.vm(), {}).value();
  machine.vcpu().set(RegisterId::Pc, kRam.value()).value();
  EXPECT_EQ(machine.vcpu().get(RegisterId::Pc).value(), kRam.value());
  EXPECT_EQ(machine.run().reason, Reason::Reset);
}

TEST(Hypervisor, AccessesReachTheDeviceWithTheirSizes) {
  Machine machine(PROGRAM(accesses));
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  const std::vector<Write> writes = machine.device().writes();
  ASSERT_GE(writes.size(), 5u);
  EXPECT_THAT(std::vector<Write>(writes.begin(), writes.begin() + 5),
              ElementsAre(Write{0, 1, 0x88}, Write{2, 2, 0x7788}, Write{4, 4, 0x5566'7788},
                          Write{8, 8, 0x1122'3344'5566'7788}, Write{16, 4, 0}));
  EXPECT_THAT(machine.device().reports(), ElementsAre(0xf3, 0x74f3, 0xf6f5'74f3, kPattern));
}

TEST(Hypervisor, AccessWithoutSyndromeIsReportedAndBecomesAnExternalAbort) {
  Machine machine(PROGRAM(undecodable));
  if (!machine.kvm().features().report_undecodable) GTEST_SKIP() << "KVM of this host does not report it";
  machine.vm().enable_undecodable_reports().value();
  const VcpuExit exit = machine.run();
  EXPECT_EQ(exit.reason, Reason::Undecodable);
  EXPECT_EQ(exit.address, Gpa(kDevice.value() + 64));
  machine.vcpu().inject_external_abort().value();
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  ASSERT_EQ(machine.device().reports().size(), 1u);
  // Arm DDI 0487, ESR_EL1: EC, Data Abort taken without a change in Exception level; ISS, DFSC: external abort.
  EXPECT_EQ(machine.device().reports()[0] >> 26 & 0x3f, 0x25u);
  EXPECT_EQ(machine.device().reports()[0] & 0x3f, 0x10u);
}

TEST(Hypervisor, DoorbellSignalsWithoutReachingTheDevice) {
  Machine machine(PROGRAM(doorbell));
  const Notifier rung = Notifier::create().value();
  machine.vm().connect_doorbell({.address = Gpa(kDevice.value() + 0x50), .value = 5}, rung).value();
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  EXPECT_TRUE(rung.drain());
  // The other value is no doorbell.
  EXPECT_THAT(machine.device().writes(), ElementsAre(Write{0x50, 4, 6}));
}

class Interrupts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!machine_.vm().supports(DeviceType::GicV3)) GTEST_SKIP() << "the program is for GICv3";
    machine_.add_gic();
    machine_.set_register(22, kDistributor.value());
  }
  void expect(std::uint64_t times, std::uint64_t trigger) {
    machine_.set_register(21, times);
    machine_.set_register(23, trigger);
    EXPECT_EQ(machine_.run().reason, Reason::Shutdown);
    EXPECT_EQ(machine_.device().reports(), std::vector<std::uint64_t>(times, kSpiId));
  }

  Machine machine_{PROGRAM(interrupts)};
};

TEST_F(Interrupts, EachSignalOfANotifierIsAnEdge) {
  const Notifier notifier = Notifier::create().value();
  machine_.vm().connect_interrupt(kSpi, notifier).value();
  // The next one when the guest has taken this one.
  machine_.device().on_write = [&](const Write&) { notifier.signal(); };
  expect(3, kEdge);
}

TEST_F(Interrupts, LevelInterruptsUntilItIsTakenBack) {
  int taken = 0;
  machine_.device().on_write = [&](const Write& write) {
    if (write.offset == kReady) machine_.vm().set_level(kSpi, true).value();
    if (write.offset == kReport && ++taken == 3) machine_.vm().set_level(kSpi, false).value();
  };
  expect(3, kLevel);
}

constexpr std::uint64_t kStorm = 10'000;

TEST_F(Interrupts, StormOfALevelThatNobodyTakesBack) {
  machine_.device().on_write = [&](const Write& write) {
    if (write.offset == kReady) machine_.vm().set_level(kSpi, true).value();
  };
  expect(kStorm, kLevel);
}

TEST_F(Interrupts, StormOfEdgesFromAnotherThread) {
  const Notifier notifier = Notifier::create().value();
  machine_.vm().connect_interrupt(kSpi, notifier).value();
  const std::jthread storm([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) notifier.signal();
  });
  expect(kStorm, kEdge);
}

TEST(Hypervisor, GuestStartsItsSecondCpu) {
  install_kick();
  Machine machine(PROGRAM(second_cpu), 2);
  machine.add_gic();
  Runner second(machine, 1);
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  EXPECT_EQ(second.stop().reason, Reason::Interrupted);
  EXPECT_THAT(machine.device().reports(), ElementsAre(1));
  EXPECT_THAT(machine.device().writes(), ::testing::Contains(Write{kReady, 8, 0}));
}

TEST(Hypervisor, ExitThatWasRequestedBeforeIsNotLost) {
  Machine machine(PROGRAM(spin));
  machine.vcpu().request_exit();
  EXPECT_EQ(machine.run().reason, Reason::Interrupted);
  EXPECT_EQ(machine.run().reason, Reason::Interrupted);
}

TEST(Hypervisor, ExitRequestCanBeTakenBack) {
  Machine machine(PROGRAM(power_off));
  machine.vcpu().request_exit();
  EXPECT_EQ(machine.run().reason, Reason::Interrupted);
  machine.vcpu().clear_exit_request();
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
}

TEST(Hypervisor, GuestThatNeverExitsIsInterrupted) {
  install_kick();
  Machine machine(PROGRAM(spin));
  Runner runner(machine, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(runner.stop().reason, Reason::Interrupted);
}

TEST(Hypervisor, CycleCounterCounts) {
  if (!Kvm::open().value().features().pmu) GTEST_SKIP() << "this host has no PMU for guests";
  Machine machine(PROGRAM(pmu), 1, {.pmu = true});
  machine.add_gic();
  machine.vcpu().enable_pmu(7).value();
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  ASSERT_EQ(machine.device().reports().size(), 1u);
  EXPECT_GT(machine.device().reports()[0], 500u);
}

TEST(Hypervisor, StolenTimeIsWhereItWasPut) {
  Machine machine(PROGRAM(stolen_time));
  if (!machine.kvm().features().stolen_time) GTEST_SKIP() << "this host does not account stolen time";
  const Gpa place(kRam.value() + 0x1'0000);
  machine.vcpu().enable_stolen_time(place).value();
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
  EXPECT_THAT(machine.device().reports(), ElementsAre(0, place.value()));
}

TEST(Hypervisor, PointerAuthenticationIsOnlyOfferedIfItWorks) {
  const bool has = Kvm::open().value().features().pointer_authentication;
  if (!has) GTEST_SKIP() << "this host has none";
  Machine machine(PROGRAM(power_off), 1, {.pointer_authentication = true});
  EXPECT_EQ(machine.run().reason, Reason::Shutdown);
}

TEST(Hypervisor, RegistersKeepWhatIsWritten) {
  Machine machine(PROGRAM(power_off), 2);
  machine.set_register(7, 0x0123'4567'89ab'cdef);
  EXPECT_EQ(machine.vcpu().get(static_cast<RegisterId>(static_cast<std::uint64_t>(RegisterId::X0) + 14)).value(),
            0x0123'4567'89ab'cdef);
  EXPECT_EQ(machine.vcpu(1).get(RegisterId::MpidrEl1).value() & 0xff'ffff, 1u);
  EXPECT_EQ(machine.vcpu().get(RegisterId::Pstate).value() & 0xf, 5u);  // EL1h
}

TEST(Hypervisor, UnknownRegisterIsAnError) {
  Machine machine(PROGRAM(power_off));
  EXPECT_FALSE(machine.vcpu().get(static_cast<RegisterId>(0x6030'0000'0010'7777)).has_value());
}

TEST(Hypervisor, MemoryThatIsNoWholePagesIsRefused) {
  Machine machine(PROGRAM(power_off));
  MappedRegion more = MappedRegion::anonymous(0x2000).value();
  EXPECT_FALSE(machine.vm().set_memory(1, Gpa(0x5000'0001), GuestSlice(more.data(), more.size())).has_value());
  EXPECT_FALSE(machine.vm().set_memory(1, Gpa(0x5000'0000), GuestSlice(more.data(), 100)).has_value());
  EXPECT_FALSE(machine.vm().set_memory(1, kRam, GuestSlice(more.data(), more.size())).has_value()) << "overlaps";
  EXPECT_TRUE(machine.vm().set_memory(1, Gpa(0x5000'0000), GuestSlice(more.data(), more.size())).has_value());
}

TEST(Hypervisor, AddressesWiderThanTheHostsAreRefused) {
  const Kvm kvm = Kvm::open().value();
  EXPECT_THAT(kvm.features().address_bits, AllOf(Ge(32u), Le(52u)));
  EXPECT_TRUE(kvm.create_vm(kvm.features().address_bits).has_value());
  const auto refused = kvm.create_vm(kvm.features().address_bits + 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().exit_code, abi::ExitCode::HostLacks);
}

TEST(Hypervisor, SameCpuCannotBeMadeTwice) {
  Machine machine(PROGRAM(power_off));
  const auto again = machine.vm().create_vcpu(0);
  ASSERT_FALSE(again.has_value());
  EXPECT_THAT(again.error().message, HasSubstr("KVM_CREATE_VCPU"));
}

}  // namespace
}  // namespace vmm::kvm
