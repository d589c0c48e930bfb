#include "vmm/report/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmm::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Page, data_object_has_each_file_as_it_is_and_null_for_what_is_missing) {
  const RunData run{.folder = "runs/\"x\"",
                    .summary = R"({"a": 1.10})",
                    .scenario = "name: x\n",
                    .servers = {{"s", std::chrono::milliseconds(1), std::chrono::milliseconds(2)}},
                    .notes = {"n"}};
  EXPECT_EQ(data_json(std::span(&run, 1), false),
            R"({"format":"sis-report","version":1,"live":false,"runs":[{"folder":"runs/\"x\"","summary":{"a": 1.10},)"
            R"("scenario":"name: x\n","servers":[{"name":"s","budget_ns":1000000,"period_ns":2000000}],)"
            R"("metrics":null,"trace":null,"audit":null,"notes":["n"]}]})"
            "\n");
}

TEST(Page, data_cannot_end_its_element_or_become_markup) {
  const std::string text = page(R"({"a":"</script><img src=x onerror=alert(1)><!--"})", false);
  EXPECT_THAT(text, HasSubstr(R"(\u003c/script>\u003cimg src=x onerror=alert(1)>\u003c!--)"));
  EXPECT_THAT(text, Not(HasSubstr("<img")));
}

TEST(Page, nothing_comes_from_elsewhere_and_only_a_live_page_asks_its_server) {
  const std::string text = page("{}", false);
  EXPECT_THAT(text, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(text, Not(HasSubstr("<script src")));
  EXPECT_THAT(text, Not(HasSubstr("rel=\"stylesheet\"")));
  EXPECT_THAT(text, Not(HasSubstr("sourceMappingURL")));
  EXPECT_THAT(text, Not(HasSubstr("connect-src")));
  EXPECT_THAT(page("{}", true), HasSubstr("connect-src 'self'"));
  EXPECT_THAT(content_policy(false), Not(HasSubstr("unsafe")));
}

TEST(Page, every_place_of_the_frame_is_filled_in) {
  const std::string text = page("{\"data\":1}", false);
  EXPECT_THAT(text, HasSubstr("id=\"data\">{\"data\":1}</script>"));
  EXPECT_THAT(text, Not(HasSubstr("@STYLE@")));
  EXPECT_THAT(text, HasSubstr("function timelineSection"));
  EXPECT_TRUE(text.ends_with("</html>\n"));
}

}  // namespace
}  // namespace vmm::report
