#include "vmm/qemu/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "vmm/qemu/probe.hpp"

namespace vmm::qemu {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class CommandLineTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.name = "hello";
    config_.machine.cpus = 4;
    config_.machine.memory_bytes = 64ull << 20;
    config_.machine.gic_version = 2;
    config_.kernel = "/k/sis.Image";
    config_.boot_archive = "/r,un/boot.cpio";
  }

  /// The argument after `option`.
  std::string value_of(const std::string& option, const std::string& accel = "tcg") {
    const auto line = command_line(config_, accel, {.console = 3, .qmp = 4, .vsock = 5, .npu = 6});
    const auto found = std::ranges::find(line, option);
    return found == line.end() || found + 1 == line.end() ? "(none)" : *(found + 1);
  }

  machine::MachineConfig config_;
};

TEST_F(CommandLineTest, machine_of_the_scenario_is_what_qemu_gets) {
  EXPECT_EQ(value_of("-smp"), "4");
  EXPECT_EQ(value_of("-m"), "67108864B");
  EXPECT_EQ(value_of("-object"), "memory-backend-memfd,id=mem,share=on,size=67108864");
  config_.machine.huge_pages = true;
  EXPECT_EQ(value_of("-object"), "memory-backend-memfd,id=mem,share=on,size=67108864,hugetlb=on,hugetlbsize=2M");
  EXPECT_EQ(value_of("-machine"), "virt,memory-backend=mem,gic-version=2");
  EXPECT_EQ(value_of("-accel"), "tcg");
  EXPECT_EQ(value_of("-kernel"), "/k/sis.Image");
  EXPECT_EQ(value_of("-initrd"), "/r,un/boot.cpio");
  EXPECT_EQ(value_of("-device"), "vhost-user-vsock-device,chardev=vsock");
}

TEST_F(CommandLineTest, sockets_are_inherited_by_number) {
  const auto line = command_line(config_, "tcg", {.console = 3, .qmp = 4, .vsock = 5, .npu = 6});
  EXPECT_THAT(line, Contains("socket,id=console,fd=3"));
  EXPECT_THAT(line, Contains("socket,id=qmp,fd=4"));
  EXPECT_THAT(line, Contains("socket,id=vsock,fd=5"));
  EXPECT_THAT(line, Contains("-nodefaults"));
  EXPECT_THAT(line, Contains("-no-user-config"));
}

TEST_F(CommandLineTest, npu_only_when_the_machine_has_one) {
  const InheritedSockets sockets{.console = 3, .qmp = 4, .vsock = 5, .npu = 6};
  EXPECT_THAT(command_line(config_, "tcg", sockets), Not(Contains(HasSubstr("npu"))));
  config_.npu.emplace();
  const auto line = command_line(config_, "tcg", sockets);
  EXPECT_THAT(line, Contains("socket,id=npu,fd=6"));
  EXPECT_THAT(line, Contains("vhost-user-fs-device,chardev=npu,num-request-queues=1,queue-size=256,tag=sis-npu"));
}

TEST_F(CommandLineTest, cpu_is_the_given_one_or_fits_the_accelerator) {
  EXPECT_EQ(value_of("-cpu"), "cortex-a76");
  EXPECT_EQ(value_of("-cpu", "kvm"), "host");
  config_.machine.cpu = "cortex-a53";
  EXPECT_EQ(value_of("-cpu", "kvm"), "cortex-a53");
}

TEST_F(CommandLineTest, icount_only_when_asked_for) {
  EXPECT_EQ(value_of("-icount"), "(none)");
  config_.machine.icount_shift = 0;
  EXPECT_EQ(value_of("-icount"), "shift=0,sleep=off");
}

TEST(Accelerator, named_ones_are_taken_as_they_are) {
  EXPECT_EQ(accelerator(scenario::Accel::Tcg), "tcg");
  EXPECT_EQ(accelerator(scenario::Accel::Kvm), "kvm");
  EXPECT_EQ(accelerator(scenario::Accel::Hvf), "hvf");
}

TEST(Probe, version_and_accelerators_are_read_from_what_qemu_prints) {
  EXPECT_EQ(parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg)\nCopyright"), "7.2.22");
  EXPECT_EQ(parse_version("something else"), "");
  EXPECT_THAT(parse_accels("Accelerators supported in QEMU binary:\ntcg\nkvm\n"), ElementsAre("tcg", "kvm"));
  EXPECT_THAT(parse_accels(""), IsEmpty());
}

TEST(Probe, what_is_missing_is_said_with_what_brings_it) {
  Capabilities capabilities;
  EXPECT_THAT(missing_for(capabilities, "tcg", false), ElementsAre(HasSubstr("qemu-system-arm")));
  capabilities = {
      .program = "/usr/bin/q", .version = "7.2.0", .accels = {"tcg"}, .vhost_user_vsock = true, .shared_memory = true};
  EXPECT_THAT(missing_for(capabilities, "tcg", false), IsEmpty());
  EXPECT_THAT(missing_for(capabilities, "kvm", false),
              ElementsAre("/usr/bin/q (7.2.0) has no accelerator kvm on this host, it has: tcg"));
  capabilities.accels.push_back("kvm");
  capabilities.kvm_problem = "no permission";
  EXPECT_THAT(missing_for(capabilities, "kvm", false), ElementsAre("no permission"));
  EXPECT_THAT(missing_for(capabilities, "tcg", false), IsEmpty());
  EXPECT_THAT(missing_for(capabilities, "tcg", true), ElementsAre(HasSubstr("npu: off")));
  capabilities.vhost_user_fs = true;
  EXPECT_THAT(missing_for(capabilities, "tcg", true), IsEmpty());
  capabilities.vhost_user_vsock = false;
  EXPECT_THAT(missing_for(capabilities, "tcg", false), ElementsAre(HasSubstr("has no vhost-user-vsock-device")));
}

TEST(Probe, program_that_is_not_there_is_noticed) {
  ::setenv("SIS_QEMU", "/nonexistent/qemu", 1);
  EXPECT_EQ(probe().program, "");
  ::unsetenv("SIS_QEMU");
}

}  // namespace
}  // namespace vmm::qemu
