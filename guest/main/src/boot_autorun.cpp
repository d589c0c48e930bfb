#include "boot_autorun.hpp"

#include <optional>

#include "boot_error.hpp"
#include "boot_shell.hpp"
#include "guest/kernel/format.hpp"
#include "guest/shell/autorun.hpp"

namespace guest {
namespace {

constinit std::optional<shell::Autorun> autorun;

class BootLines final : public shell::Autorun::Client {
 public:
  explicit BootLines(void (*done)()) : done_(done) {}
  void on_lines_done() override {
    autorun.reset();  // which does nothing after this call
    done_();
  }
  void on_line_failed(std::size_t number, std::string_view line) override {
    refuse_boot(
        kernel::fail("autorun-failed", "line {}, '{}'", number, kernel::escaped(line.substr(0, kShownBytes))).error());
  }

 private:
  static constexpr std::size_t kShownBytes = 100;
  void (*done_)();
};

constinit std::optional<BootLines> client;

}  // namespace

void start_autorun(control::Services& services, std::string_view lines, void (*done)()) {
  client.emplace(done);
  autorun.emplace(services, console_text(), lines, *client).start();
}

}  // namespace guest
