#include "tools/batch.hpp"

#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <ostream>

#include "tools/batch_line.hpp"
#include "tools/follow.hpp"
#include "tools/text.hpp"
#include "vmm/base/file.hpp"

namespace sisctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

struct Numbered {
  std::size_t number;  ///< of the line, from 1
  std::expected<BatchLine, std::string> line;

  [[nodiscard]] bool is_empty() const {
    return line && std::holds_alternative<std::vector<std::string>>(*line) &&
           std::get<std::vector<std::string>>(*line).empty();
  }
};

Failure usage(const std::string& message) {
  return {.exit_code = ExitCode::Usage, .kind = "usage", .message = message};
}

/// The connection is as good as before.
bool may_go_on(const Failure& failure) { return failure.kind != "connection-lost" && failure.kind != "protocol"; }

class Runner {
 public:
  Runner(const Context& context, const Batch& batch, Session& session)
      : context_(context), batch_(batch), session_(session) {}

  /// Takes lines until there are none, or until one fails and that ends it.
  ExitCode run(const std::function<std::optional<Numbered>()>& next) {
    while (!over_) {
      if (in_flight_.size() >= batch_.pipeline) receive();
      if (over_) break;
      const auto line = next();
      if (!line) break;
      if (!line->is_empty()) send(*line);
    }
    while (!in_flight_.empty()) receive();
    if (over_) {
      context_.err << "sisctl: stopped at line " << failed_at_ << "; what is behind "
                   << (last_ == failed_at_ ? "it" : "line " + std::to_string(last_)) << " was not sent\n";
    }
    return exit_code_;
  }

 private:
  struct Sent {
    std::size_t number;
    std::string op;
    std::uint32_t id;
  };

  void send(const Numbered& line) {
    last_ = line.number;
    const auto request = line.line ? request_for(*line.line) : std::unexpected(usage(line.line.error()));
    const auto id = request ? session_.send(request->op, request->args) : std::unexpected(request.error());
    const std::string op = request ? request->op : std::string();
    if (id) {
      in_flight_.push_back({.number = line.number, .op = op, .id = *id});
      return;
    }
    // Its result comes behind those of the lines before.
    while (!in_flight_.empty()) receive();
    result(line.number, op, std::unexpected(id.error()));
  }

  void receive() {
    const Sent sent = std::move(in_flight_.front());
    in_flight_.pop_front();
    result(sent.number, sent.op, session_.receive(sent.id));
  }

  void result(std::size_t number, const std::string& op, const Outcome<json>& outcome) {
    if (context_.options.json) {
      json line = {{"line", number}};
      if (!op.empty()) line["op"] = op;
      line[outcome ? "result" : "error"] = outcome ? with_hex(*outcome) : error_object(outcome.error());
      context_.out << json_line(line);
    } else {
      context_.out << number << (op.empty() ? "" : " " + printable(op)) << ": ";
      context_.out << (outcome ? "ok " + json_line(with_hex(*outcome)) : "error " + outcome.error().message + "\n");
    }
    context_.out.flush();
    if (outcome) return;
    const bool ends = !batch_.keep_going || !may_go_on(outcome.error());
    if (exit_code_ == ExitCode::Ok) exit_code_ = outcome.error().exit_code;
    if (ends && !over_) {
      over_ = true;
      failed_at_ = number;
    }
  }

  Outcome<Request> request_for(const BatchLine& line) {
    const auto* const made = std::get_if<Request>(&line);
    auto request = made != nullptr ? Outcome<Request>(*made) : request_of_words(std::get<0>(line));
    if (request && sends_events(*request)) {
      return std::unexpected(usage("'" + printable(request->op) + "' sends events, of which a batch has no use"));
    }
    return request;
  }

  Outcome<Request> request_of_words(const std::vector<std::string>& words) {
    return request_of(words, [this](const std::string& name) { return help(name); });
  }

  /// Asked once for each command.
  Outcome<json> help(const std::string& name) {
    const auto known = help_.find(name);
    if (known != help_.end()) return known->second;
    auto help = session_.call("help", {{"command", name}});
    if (help || !help.error().code.empty()) help_.emplace(name, help);
    return help;
  }

  const Context& context_;
  const Batch& batch_;
  Session& session_;
  std::map<std::string, Outcome<json>> help_;
  std::deque<Sent> in_flight_;
  std::size_t last_ = 0;       ///< line that was sent, or tried to be
  std::size_t failed_at_ = 0;  ///< line
  bool over_ = false;
  ExitCode exit_code_ = ExitCode::Ok;
};

/// Lines of a text, without their ends.
class Lines {
 public:
  explicit Lines(std::string text) : text_(std::move(text)) {}
  std::optional<Numbered> next() {
    if (at_ >= text_.size()) return std::nullopt;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    std::string line = text_.substr(at_, end - at_);
    if (line.ends_with('\r')) line.pop_back();
    at_ = end + 1;
    return Numbered{.number = ++number_, .line = parse_batch_line(line)};
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
  std::size_t number_ = 0;
};

std::optional<Numbered> next_of_input(std::size_t& number) {
  std::string line;
  // Of a line that is too long no more is kept than shows that.
  int c = std::cin.get();
  if (c == std::istream::traits_type::eof()) return std::nullopt;
  for (; c != std::istream::traits_type::eof() && c != '\n'; c = std::cin.get()) {
    if (line.size() <= kMaxBatchLine) line += static_cast<char>(c);
  }
  if (line.ends_with('\r')) line.pop_back();
  return Numbered{.number = ++number, .line = parse_batch_line(line)};
}

/// What is wrong with lines that no guest has to be asked about, a line each.
std::string problems_of(const std::string& file, const std::string& text) {
  std::string problems;
  Lines lines(text);
  while (const auto line = lines.next()) {
    if (line->line) continue;
    problems += (problems.empty() ? "" : "\n") + printable(file) + ":" + std::to_string(line->number) + ": " +
                line->line.error();
  }
  return problems;
}

}  // namespace

ExitCode run_batch(const Context& context, const Batch& batch) {
  std::string text;
  const bool is_input = batch.file == "-";
  if (!is_input) {
    auto read = vmm::read_file(batch.file, kMaxFileBytes);
    if (!read) return report(context, usage(printable(read.error().message)));
    text = std::move(*read);
    if (const std::string problems = problems_of(batch.file, text); !problems.empty()) {
      return report(context, usage("nothing was sent\n" + problems));
    }
  }
  auto session = Session::open(context.options);
  if (!session) return report(context, session.error());
  Runner runner(context, batch, *session);
  if (is_input) {
    std::size_t number = 0;
    return runner.run([&] { return next_of_input(number); });
  }
  Lines lines(std::move(text));
  return runner.run([&] { return lines.next(); });
}

}  // namespace sisctl
