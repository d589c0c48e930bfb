#include "audit_stream.hpp"

#include <fcntl.h>

#include <utility>

#include "vmm/base/file.hpp"

namespace vmm::machine {
namespace {

constexpr std::uint32_t kTokenId = 2;
/// Who rotates the key writes the new one down within a moment, or never.
constexpr std::chrono::milliseconds kKeyInterval{200};

}  // namespace

Result<std::unique_ptr<AuditStream>> AuditStream::create(EventLoop& loop, AuditStreamOptions options) {
  UniqueFd file(::open(options.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail_errno("cannot create " + options.file.string());
  return std::unique_ptr<AuditStream>(new AuditStream(loop, std::move(file), std::move(options)));
}

AuditStream::AuditStream(EventLoop& loop, UniqueFd file, AuditStreamOptions options)
    : loop_(loop), file_(std::move(file)), options_(std::move(options)), key_(options_.present_key()) {
  // Called on the follower's thread.
  AuditFollowerEvents events{
      .on_lines = [this](std::string lines) { loop_.post([this, lines = std::move(lines)] { write(lines); }); },
      .on_refused = [this] { loop_.post([this] { on_refused(); }); },
      .on_given_up =
          [this](std::string why) {
            loop_.post([this, why = std::move(why)] {
              following_ = false;
              warn(why);
            });
          },
  };
  follower_ = std::make_unique<AuditFollower>(options_.socket, make_token(), options_.connect_timeout,
                                              options_.restored, std::move(events), options_.sandbox);
}

AuditStream::~AuditStream() { loop_.cancel_timer(timer_); }

/// No right but that to read the log.
abi::control::Token AuditStream::make_token() const {
  return control::make_token(key_, kTokenId, abi::control::Rights::Admin, 0);
}

void AuditStream::warn(const std::string& message) {
  options_.on_warning(options_.file.filename().string() + ": " + message);
}

void AuditStream::write(std::string_view lines) {
  if (!complete_) return;
  bytes_ += lines.size();
  if (bytes_ > kMaxBytes) {
    complete_ = false;
    return warn("it has " + std::to_string(kMaxBytes) + " bytes, and gets no more");
  }
  if (const auto written = write_all(file_, std::as_bytes(std::span(lines)), options_.file.string()); !written) {
    complete_ = false;
    warn(written.error().message);
  }
}

void AuditStream::on_refused() {
  following_ = false;
  look_for_key();
}

void AuditStream::look_for_key() {
  if (const control::Key key = options_.present_key(); key != key_) {
    key_ = key;
    following_ = true;
    return follower_->set_token(make_token());
  }
  timer_ = loop_.add_timer(kKeyInterval, [this] { look_for_key(); });
}

void AuditStream::close(std::string_view how, unsigned boots) {
  std::string last;
  AuditLines& lines = follower_->lines();
  const bool all = complete_ && following_ && lines.starts() == boots;
  lines.end(all ? how : AuditLines::kNotFollowed, last);
  complete_ = true;
  bytes_ = 0;
  write(last);
}

}  // namespace vmm::machine
