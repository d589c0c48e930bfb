#include "tools/web/server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>

#include "deadline_stream.hpp"
#include "tools/web/address.hpp"
#include "tools/web/console_lines.hpp"
#include "vmm/report/page.hpp"

namespace sis_web {
namespace {

using httplib::Request;
using httplib::Response;

constexpr char kText[] = "text/plain; charset=utf-8";

/// Threads that serve, one connection each. While all do, the library's thread waits here and accepts nobody: those who
/// come wait in the system's queue, which is short.
class BoundedThreads final : public httplib::TaskQueue {
 public:
  explicit BoundedThreads(std::size_t count) : pool_(count), free_(count) {}

  void enqueue(std::function<void()> serve) override {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return free_ > 0; });
      --free_;
    }
    pool_.enqueue([this, serve = std::move(serve)] {
      serve();
      const std::lock_guard lock(mutex_);
      ++free_;
      changed_.notify_one();
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  httplib::ThreadPool pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t free_;
};

void answer(Response& response, int status, const std::string& text) {
  response.status = status;
  response.set_content(text + "\n", kText);
}

/// Refuses what is not for us before any path is looked at.
httplib::Server::HandlerResponse check(const Request& request, Response& response) {
  using enum httplib::Server::HandlerResponse;
  if (!is_our_host(request.get_header_value("Host"))) {
    answer(response, 403,
           "The Host header must be localhost or an address in numbers: other names can lead anybody's page here.");
    return Handled;
  }
  if (request.method != "GET") {
    response.set_header("Allow", "GET");
    answer(response, 405, "This server is only for reading: GET.");
    return Handled;
  }
  return Unhandled;
}

/// Of `?from=`; nothing: the newest lines.
std::optional<std::uint64_t> from_of(const Request& request, bool& valid) {
  valid = true;
  if (!request.has_param("from")) return std::nullopt;
  const std::string text = request.get_param_value("from");
  std::uint64_t offset = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  valid = error == std::errc() && end == text.data() + text.size();
  return offset;
}

void answer_log(const std::filesystem::path& log, const Request& request, Response& response) {
  bool valid = false;
  const auto from = from_of(request, valid);
  if (!valid) return answer(response, 400, "from: expected a number of bytes, as the header Sis-Next gives it.");
  const auto lines = read_console_lines(log, from);
  if (!lines) return answer(response, 503, "There is no console log: " + lines.error().message);
  response.set_header("Sis-Next", std::to_string(lines->next));
  response.set_content(lines->text, "application/jsonl");
}

httplib::Headers security_headers() {
  return {{"Content-Security-Policy", vmm::report::content_policy(true) + "; frame-ancestors 'none'"},
          {"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cache-Control", "no-store"}};
}

}  // namespace

class Server::Http final : public httplib::Server {
 public:
  Http(const MachineView& view, std::filesystem::path log, const ServerLimits& limits) : limits_(limits) {
    new_task_queue = [count = limits.connections] { return new BoundedThreads(count); };
    set_default_headers(security_headers());
    set_pre_routing_handler(check);
    Get("/", [&view](const Request&, Response& response) {
      response.set_content(vmm::report::page(view.data_json(), true), "text/html; charset=utf-8");
    });
    Get("/data\\.json",
        [&view](const Request&, Response& response) { response.set_content(view.data_json(), "application/json"); });
    Get("/metrics", [&view](const Request&, Response& response) {
      response.set_content(view.prometheus(), "text/plain; version=0.0.4; charset=utf-8");
    });
    Get("/log",
        [log = std::move(log)](const Request& request, Response& response) { answer_log(log, request, response); });
    set_error_handler([](const Request&, Response& response) {
      if (response.body.empty() && response.status == 404)
        answer(response, 404, "There are /, /data.json, /metrics and /log.");
    });
  }

  /// Serves whoever connects to `socket`, which becomes the library's, until stop() or an error of accept().
  void serve(int socket) {
    svr_sock_ = socket;
    listen_after_bind();
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    DeadlineStream stream(socket, DeadlineStream::Clock::now() + limits_.time, limits_.request_bytes);
    bool closed = false;
    const bool served = process_request(stream, true, closed, [](Request& request) {
      // Neither is needed here, and both let a client have us do much for little: ranges that overlap, compression.
      request.headers.erase("Accept-Encoding");
      request.ranges.clear();
    });
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
    return served;
  }

  ServerLimits limits_;
};

Server::Server(vmm::UniqueFd listener, const MachineView& view, std::filesystem::path console_log,
               const ServerLimits& limits)
    : listener_(std::move(listener)),
      http_(std::make_unique<Http>(view, std::move(console_log), limits)),
      thread_([this] { serve(); }) {}

Server::~Server() {
  // Ends accept() in the thread, now and for every duplicate. The library's stop() would close what the thread closes.
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void Server::serve() {
  // The library gives up at any error of accept(), as of a client that has gone meanwhile. It closes what it was given.
  for (;;) {
    const int copy = ::fcntl(listener_.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(copy, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
      ::close(copy);
      return;
    }
    http_->serve(copy);
  }
}

}  // namespace sis_web
