#include "guest_link.hpp"

#include <cstring>
#include <utility>

namespace vmm::machine {
namespace {

using std::chrono::milliseconds;

/// Between two attempts: the guest may be starting again.
constexpr milliseconds kRetry{100};
/// Who rotates the key writes the new one down within a moment, or never.
constexpr milliseconds kKeyInterval{200};

bool same(const abi::control::Token& a, const abi::control::Token& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

GuestLink::GuestLink(EventLoop& loop, GuestLinkOptions options)
    : loop_(loop), options_(std::move(options)), key_(options_.present_key()), token_(make_token()), thread_([this] {
        options_.sandbox.enter(sandbox::ThreadKind::Control);
        run();
      }) {}

GuestLink::~GuestLink() {
  finish();
  loop_.cancel_timer(timer_);
}

abi::control::Token GuestLink::make_token() const {
  return control::make_token(key_, options_.token_id, options_.rights, 0);
}

void GuestLink::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<abi::control::Token> GuestLink::next_token(const abi::control::Token* refused) {
  std::unique_lock lock(mutex_);
  if (refused != nullptr) {
    changed_.wait(lock, [&] { return ending_ || !same(token_, *refused); });
  } else {
    changed_.wait_for(lock, kRetry, [&] { return ending_; });
  }
  if (ending_) return std::nullopt;
  return token_;
}

void GuestLink::run() {
  std::optional<abi::control::Token> token;
  {
    const std::lock_guard lock(mutex_);
    token = token_;
  }
  while (token && connect_and_use(*token)) token = next_token(nullptr);
}

bool GuestLink::connect_and_use(const abi::control::Token& token) {
  auto client = control::Client::connect(options_.socket.string(), token, Clock::now() + options_.connect_timeout);
  if (client) return options_.use(*client);
  const auto& error = client.error();
  if (error.kind == control::ClientError::Kind::Refused && error.code.starts_with("token-")) {
    loop_.post([this] {
      refused_ = true;
      look_for_key();
    });
    return next_token(&token).has_value();
  }
  // The guest may be about to end, or to start again.
  return true;
}

void GuestLink::look_for_key() {
  const control::Key key = options_.present_key();
  if (key == key_) {
    timer_ = loop_.add_timer(kKeyInterval, [this] { look_for_key(); });
    return;
  }
  key_ = key;
  refused_ = false;
  {
    const std::lock_guard lock(mutex_);
    token_ = make_token();
  }
  changed_.notify_all();
}

}  // namespace vmm::machine
