#include "tools/load_package.hpp"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <system_error>

#include "tools/interruptible.hpp"
#include "tools/text.hpp"

namespace sisctl {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

/// Bytes of a request: what the guest takes at most.
constexpr std::size_t kPieceBytes = 61'440;
/// Requests on their way at a time, so that the guest has one while it answers another.
constexpr std::size_t kWindow = 16;
constexpr std::size_t kMaxManifestBytes = 1024;
/// So long Ctrl-C may go unnoticed.
constexpr std::chrono::milliseconds kLookEvery{100};
/// How often the progress is drawn.
constexpr std::chrono::milliseconds kDrawEvery{100};
/// The guest looks at each byte before it answers: so much longer than any answer may take, for each MiB.
constexpr std::chrono::seconds kCheckPerMebibyte{1};
std::unexpected<Failure> usage(const std::string& message) {
  return std::unexpected(Failure{.exit_code = ExitCode::Usage, .kind = "usage", .message = message});
}

std::string in_quotes(const std::filesystem::path& path) { return "'" + printable(path.string()) + "'"; }

Outcome<json> read_manifest(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::uint8_t> bytes(kMaxManifestBytes + 1);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));  // bytes are bytes
  const auto size = static_cast<std::size_t>(file.gcount());
  if (!file.eof()) {
    return usage(size == bytes.size() ? "the manifest " + in_quotes(path) + " is longer than " +
                                            std::to_string(kMaxManifestBytes) + " bytes"
                                      : "cannot read the manifest " + in_quotes(path));
  }
  bytes.resize(size);
  return json::binary(std::move(bytes));
}

std::string megabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MB", bytes / 1e6);
  return text;
}

/// The one line on the terminal that says how far it is; nothing where nobody watches.
class Progress {
 public:
  Progress(std::ostream& out, bool watched, std::string name, std::uint64_t total)
      : out_(out), watched_(watched), name_(std::move(name)), total_(total) {}
  ~Progress() { draw(""); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done) {
    const auto now = steady_clock::now();
    if (!watched_ || (done != total_ && now - drawn_ < kDrawEvery)) return;
    drawn_ = now;
    draw(progress_text(name_, done, total_, now - begun_));
  }
  void say(const std::string& what) { draw(name_ + ": " + what); }
  [[nodiscard]] std::chrono::nanoseconds took() const { return steady_clock::now() - begun_; }

 private:
  /// Over what was there, without anything that only some terminals know.
  void draw(const std::string& line) {
    if (!watched_) return;
    const std::size_t more = width_ > line.size() ? width_ - line.size() : 0;
    out_ << '\r' << line << std::string(more, ' ') << (line.empty() ? "\r" : "") << std::flush;
    width_ = line.size();
  }

  std::ostream& out_;
  const bool watched_;
  const std::string name_;
  const std::uint64_t total_;
  const steady_clock::time_point begun_ = steady_clock::now();
  steady_clock::time_point drawn_ = {};
  std::size_t width_ = 0;
};

/// One upload over a session. Whatever ends it before it is whole, the guest keeps nothing of it when the connection
/// ends.
class Sender {
 public:
  Sender(const Options& options, Session& session, const PackageFiles& files, Progress& progress)
      : options_(options), session_(session), files_(files), progress_(progress) {}

  /// What the guest says of the model.
  Outcome<json> run() {
    const auto upload = session_.subscribe("llm upload", files_.args);
    if (!upload) return std::unexpected(upload.error());
    upload_ = *upload;
    if (auto wanted = is_wanted(); !wanted) return std::unexpected(wanted.error());
    if (auto sent = send_file(); !sent) return std::unexpected(why(sent.error()));
    sent_after_ = progress_.took();
    progress_.say("is checked and loaded");
    if (const auto ended = session_.call("llm upload-end", json::object()); !ended) {
      return std::unexpected(why(ended.error()));
    }
    return loaded();
  }

 private:
  /// Before anything of the model is on its way: a request that is refused is refused at once, and requests are
  /// answered in order, so it would have been by now.
  Outcome<void> is_wanted() {
    if (const auto asked = session_.call("help", {{"command", "llm upload"}}); !asked) {
      return std::unexpected(asked.error());
    }
    const auto next = session_.next(upload_, std::chrono::milliseconds(1));
    return next ? Outcome<void>() : std::unexpected(next.error());
  }

  Outcome<void> send_file() {
    std::ifstream file(files_.model, std::ios::binary);
    std::vector<std::uint8_t> piece;
    for (std::uint64_t at = 0; at < files_.size || !answers_.empty();) {
      if (Interruptible::interrupted()) return std::unexpected(interrupted());
      if (at == files_.size || answers_.size() == kWindow) {
        if (auto taken = take_answer(); !taken) return taken;
        continue;
      }
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, files_.size - at)));
      if (!file.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()))) {
        return usage("cannot read " + in_quotes(files_.model) + " any more at byte " + std::to_string(at));
      }
      const std::uint64_t size = piece.size();
      const auto sent = session_.send("llm upload-data", {{"offset", at}, {"bytes", json::binary(std::move(piece))}});
      if (!sent) return std::unexpected(sent.error());
      answers_.push_back({.id = *sent, .end = at += size});
    }
    return {};
  }

  Outcome<void> take_answer() {
    const Piece piece = answers_.front();
    answers_.pop_front();
    if (const auto answer = session_.receive(piece.id); !answer) return std::unexpected(answer.error());
    progress_.show(piece.end);
    return {};
  }

  Outcome<json> loaded() {
    const auto longest = options_.timeout + kCheckPerMebibyte * static_cast<std::int64_t>((files_.size >> 20) + 1);
    for (const auto until = steady_clock::now() + longest; steady_clock::now() < until;) {
      if (Interruptible::interrupted()) return std::unexpected(interrupted());
      auto next = session_.next(upload_, kLookEvery);
      if (!next) return std::unexpected(next.error());
      if (!*next || (*next)->is_event) continue;
      json result = std::move((*next)->body);
      const auto ms = [](auto took) { return std::chrono::duration_cast<std::chrono::milliseconds>(took).count(); };
      result["upload_ms"] = ms(sent_after_);
      result["check_ms"] = ms(progress_.took() - sent_after_);
      return result;
    }
    return std::unexpected(Failure{.exit_code = ExitCode::NoReply,
                                   .kind = "no-reply",
                                   .message = "the guest has not loaded the model within " + duration_text(longest)});
  }

  /// Of a request that was refused: the upload as a whole was, or has ended, and says why.
  Failure why(const Failure& failure) {
    if (failure.exit_code != ExitCode::Refused) return failure;
    const auto next = session_.next(upload_, kLookEvery);
    return next ? failure : next.error();
  }
  static Failure interrupted() {
    return {
        .exit_code = kInterrupted, .kind = "interrupted", .message = "interrupted; the guest has no part of the model"};
  }
  static std::string duration_text(std::chrono::milliseconds time) {
    return duration(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
  }

  struct Piece {
    std::uint32_t id;   ///< of its request
    std::uint64_t end;  ///< one past its last byte in the file
  };
  const Options& options_;
  Session& session_;
  const PackageFiles& files_;
  Progress& progress_;
  std::uint32_t upload_ = 0;
  std::deque<Piece> answers_;  ///< that are awaited
  std::chrono::nanoseconds sent_after_{};
};

}  // namespace

Outcome<PackageFiles> find_package_files(const LoadPackage& command) {
  const std::filesystem::path model = command.file;
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(model, error);
  if (error) return usage("cannot read " + in_quotes(model) + ": " + error.message());
  if (size == 0) return usage(in_quotes(model) + " is empty");
  PackageFiles files{.model = command.file, .size = size, .args = {{"size", size}}};
  std::filesystem::path manifest = command.manifest;
  if (manifest.empty()) {
    manifest = std::filesystem::path(model).replace_extension(".sig");
    if (!std::filesystem::exists(manifest, error)) manifest.clear();
  }
  if (!manifest.empty()) {
    auto bytes = read_manifest(manifest);
    if (!bytes) return std::unexpected(bytes.error());
    files.args["manifest"] = std::move(*bytes);
  }
  if (!command.id.empty()) {
    files.args["id"] = command.id;
  } else if (manifest.empty()) {
    files.args["id"] = model.stem().string();
  }
  return files;
}

std::string progress_text(const std::string& name, std::uint64_t done, std::uint64_t total,
                          std::chrono::nanoseconds took) {
  const auto part = static_cast<double>(done);
  std::string text = name + ": " + std::to_string(static_cast<int>(100 * part / static_cast<double>(total))) +
                     " % of " + megabytes(static_cast<double>(total));
  const double seconds = std::chrono::duration<double>(took).count();
  return seconds > 0 ? text + ", " + megabytes(part / seconds) + "/s" : text;
}

ExitCode run_load_package(const Context& context, const LoadPackage& command) {
  const auto files = find_package_files(command);
  if (!files) return report(context, files.error());
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  const Interruptible interruptible;
  const auto result = [&] {
    Progress progress(context.err, !context.options.json && ::isatty(STDERR_FILENO) != 0,
                      printable(std::filesystem::path(files->model).filename().string()), files->size);
    return Sender(context.options, *session, *files, progress).run();
  }();
  if (!result) return report(context, result.error());
  context.out << (context.options.json ? json_line(*result) : table(*result));
  return ExitCode::Ok;
}

}  // namespace sisctl
