#include "audit_stream.hpp"

#include <fcntl.h>

#include <utility>

#include "vmm/base/file.hpp"

namespace vmm::machine {
namespace {

constexpr std::uint32_t kTokenId = 2;

}  // namespace

Result<std::unique_ptr<AuditStream>> AuditStream::create(EventLoop& loop, AuditStreamOptions options) {
  UniqueFd file(::open(options.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail_errno("cannot create " + options.file.string());
  return std::unique_ptr<AuditStream>(new AuditStream(loop, std::move(file), std::move(options)));
}

AuditStream::AuditStream(EventLoop& loop, UniqueFd file, AuditStreamOptions options)
    : file_(std::move(file)), options_(std::move(options)) {
  // Called on the link's thread.
  AuditFollowerEvents events{
      .on_lines = [this, &loop](std::string lines) { loop.post([this, lines = std::move(lines)] { write(lines); }); },
      .on_given_up =
          [this, &loop](std::string why) {
            loop.post([this, why = std::move(why)] {
              following_ = false;
              warn(why);
            });
          },
  };
  follower_ = std::make_unique<AuditFollower>(options_.restored, std::move(events));
  link_ = std::make_unique<GuestLink>(
      loop, GuestLinkOptions{.socket = options_.socket,
                             .connect_timeout = options_.connect_timeout,
                             .token_id = kTokenId,
                             .rights = abi::control::Rights::Admin,
                             .present_key = options_.present_key,
                             .use = [this](auto& client) { return follower_->follow(client); },
                             .sandbox = options_.sandbox});
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

void AuditStream::close(std::string_view how, unsigned boots) {
  std::string last;
  AuditLines& lines = follower_->lines();
  const bool all = complete_ && following_ && !link_->refused() && lines.starts() == boots;
  lines.end(all ? how : AuditLines::kNotFollowed, last);
  complete_ = true;
  bytes_ = 0;
  write(last);
}

}  // namespace vmm::machine
