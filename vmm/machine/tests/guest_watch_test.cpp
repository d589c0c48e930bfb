#include "vmm/machine/guest_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::machine {
namespace {

using observe::ExitRecord;
using testing::HasSubstr;

class GuestWatchTest : public testing::Test {
 protected:
  std::vector<ExitRecord> records_;
  GuestWatch watch_{[this](ExitRecord record) { records_.push_back(record); }};
  observe::ConsoleParser parser_{watch_};
};

TEST_F(GuestWatchTest, panic_report_begins_at_its_first_line) {
  parser_.feed("sis> \n==== KERNEL PANIC ====\nreason: data abort\nx0 0\n==== END OF PANIC ====\nafter\n");
  parser_.feed("\x1e SIS-EXIT kind=panic code=4\n");
  EXPECT_EQ(watch_.panic_report(), "==== KERNEL PANIC ====\nreason: data abort\nx0 0\n==== END OF PANIC ====\n");
  EXPECT_EQ(watch_.panic_reason(), "data abort");
  ASSERT_EQ(records_.size(), 1U);
  EXPECT_EQ(watch_.exit_record()->kind, ExitRecord::Kind::Panic);
}

TEST_F(GuestWatchTest, panic_without_a_report_gives_the_last_lines) {
  for (int i = 0; i < 100; ++i) parser_.feed("line " + std::to_string(i) + "\n");
  parser_.feed("\x1e SIS-EXIT kind=panic code=4\n");
  EXPECT_THAT(watch_.panic_report(), HasSubstr("line 99\n"));
  EXPECT_THAT(watch_.panic_report(), testing::Not(HasSubstr("line 50\n")));
  EXPECT_EQ(watch_.panic_reason(), "");
}

TEST_F(GuestWatchTest, endless_report_is_bounded_and_says_so) {
  parser_.feed("==== KERNEL PANIC ====\n");
  for (int i = 0; i < 10000; ++i) parser_.feed(std::string(100, 'x') + "\n");
  EXPECT_LE(watch_.panic_report().size(), GuestWatch::kMaxReportBytes + 100);
  EXPECT_THAT(watch_.panic_report(), HasSubstr("the report is longer"));
}

TEST_F(GuestWatchTest, record_of_a_reboot_does_not_stay) {
  parser_.feed("\x1e SIS-EXIT kind=reboot code=0\n");
  EXPECT_EQ(records_.size(), 1U);
  EXPECT_FALSE(watch_.exit_record());
}

TEST_F(GuestWatchTest, boot_configuration_line_is_kept_without_control_bytes) {
  parser_.feed("BOOT CONFIG ERROR: archive-header: bad \x1b[31mmagic\nmore\n");
  EXPECT_EQ(watch_.boot_config_line(), "BOOT CONFIG ERROR: archive-header: bad magic");
}

TEST_F(GuestWatchTest, last_lines_are_joined) {
  parser_.feed("one\n\ntwo\nthree\n");
  EXPECT_EQ(watch_.last_lines(2), "two | three");
  EXPECT_EQ(watch_.boot_config_line(), "three") << "better than nothing";
}

}  // namespace
}  // namespace vmm::machine
