#include "guest/llm/explain/answer.hpp"

#include <algorithm>

#include "claims.hpp"
#include "labels.hpp"
#include "rules.hpp"

namespace guest::llm::explain {
namespace {

constexpr std::string_view kEndsOfWords = " \n";
constexpr std::string_view kAttached = ",;:.";

/// The word that begins at `at`, with what is attached to it.
std::string_view word_at(std::string_view text, std::size_t at) {
  const std::size_t end = std::min(text.find_first_of(kEndsOfWords, at), text.size());
  return text.substr(at, end - at);
}
std::string_view bare(std::string_view word) {
  const std::size_t last = word.find_last_not_of(kAttached);
  return word.substr(0, last == std::string_view::npos ? 0 : last + 1);
}
/// Where the next word begins at or behind `at`; text.size(): there is none.
std::size_t next_begin(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(kEndsOfWords, at), text.size());
}
std::string_view word_before(std::string_view text, std::size_t at) {
  const std::size_t last = at == 0 ? std::string_view::npos : text.find_last_not_of(kEndsOfWords, at - 1);
  if (last == std::string_view::npos) {
    return {};
  }
  const std::size_t gap = text.find_last_of(kEndsOfWords, last);
  const std::size_t begin = gap == std::string_view::npos ? 0 : gap + 1;
  return text.substr(begin, last + 1 - begin);
}
bool is_number(std::string_view word) { return !word.empty() && word[0] >= '0' && word[0] <= '9'; }

class Checker {
 public:
  Checker(const Figures& figures, std::string_view answer) : figures_(figures), answer_(answer) {}

  Check run() {
    for (std::size_t at = next_begin(answer_, 0); at < answer_.size();) {
      at = next_begin(answer_, at + take(at));
    }
    return check_;
  }

 private:
  /// What begins at `at`; returns how many bytes it has.
  std::size_t take(std::size_t at) {
    for (const Claim& claim : claims()) {
      if (claims_at(at, claim.words)) {
        Statement made{.text = answer_.substr(at, claim.words.size())};
        made.supported = claim.holds(figures_, subject_, answer_);
        made.subject = subject_text_;
        made.figure = claim.figure;
        add(made);
        // What is attached to its last word goes with it.
        return std::max(claim.words.size(), word_at(answer_, at + claim.words.size()).size() + claim.words.size());
      }
    }
    const std::string_view word = word_at(answer_, at);
    const std::string_view core = bare(word);
    if (looks_like_label(core)) {
      take_label(at, core);
    } else if (is_number(core)) {
      take_number(at, core);
    } else if (core == "npu" && figures_.npu) {
      speak_of(Item{Kind::Npu, 0}, core);
    } else if (core == "llm" && figures_.llm) {
      speak_of(Item{Kind::Llm, 0}, core);
    }
    return word.size();
  }

  [[nodiscard]] bool claims_at(std::size_t at, std::string_view words) const {
    const std::string_view rest = answer_.substr(at);
    if (!rest.starts_with(words)) {
      return false;
    }
    return rest.size() == words.size() ||
           (kEndsOfWords.contains(rest[words.size()]) || kAttached.contains(rest[words.size()]));
  }

  void take_label(std::size_t at, std::string_view label) {
    const auto item = item_of(figures_, label);
    Statement made{.text = label, .supported = item.has_value(), .subject = label};
    const std::string_view before = word_before(answer_, at);
    if (item && before == "input") {
      made.figure = "input";
      made.supported = subject_ && subject_->kind == Kind::Operator && item->kind == Kind::Channel &&
                       figures_.operators[subject_->index].input == item->index;
      made.subject = subject_text_;
    } else if (item && before == "reader") {
      made.figure = "reader";
      made.supported = subject_ && subject_->kind == Kind::Channel && item->kind == Kind::Operator &&
                       figures_.channels[subject_->index].reader == item->index;
      made.subject = subject_text_;
    }
    add(made);
    speak_of(item, label);
  }

  void take_number(std::size_t at, std::string_view number) {
    Statement made{.text = number};
    std::optional<Item> item = subject_;
    made.subject = subject_text_;
    if (!spoken_) {
      item = first_label(at, made.subject);
    }
    const std::string_view before = word_before(answer_, at);
    const std::size_t next = next_begin(answer_, at + word_at(answer_, at).size());
    const std::string_view after = bare(word_at(answer_, next));
    for (const Rule& rule : rules()) {
      if (item && rule.kind == item->kind && (rule.before.empty() || rule.before == before) &&
          (rule.after.empty() || rule.after == after)) {
        made.figure = rule.figure;
        made.value = rule.value(figures_, item->index);
        made.supported = quantity(*made.value, rule.unit).view() == number;
        break;
      }
    }
    add(made);
  }

  /// What an answer that has not named anything yet speaks of: its first label, else the audit log.
  [[nodiscard]] std::optional<Item> first_label(std::size_t at, std::string_view& text) const {
    for (; at < answer_.size(); at = next_begin(answer_, at + word_at(answer_, at).size())) {
      const std::string_view word = bare(word_at(answer_, at));
      if (looks_like_label(word)) {
        text = word;
        return item_of(figures_, word);
      }
    }
    text = "audit";
    return Item{Kind::Audit, 0};
  }

  void speak_of(std::optional<Item> item, std::string_view text) {
    spoken_ = true;
    subject_ = item;
    subject_text_ = text;
  }
  void add(const Statement& statement) { check_.complete = check_.statements.push_back(statement) && check_.complete; }

  const Figures& figures_;
  std::string_view answer_;
  Check check_;
  bool spoken_ = false;
  std::optional<Item> subject_;  ///< nothing though spoken_: of something that there is not
  std::string_view subject_text_;
};

}  // namespace

bool Check::holds() const {
  return complete && !statements.empty() && std::ranges::all_of(statements, &Statement::supported);
}

Check check_answer(const Figures& figures, std::string_view answer) { return Checker(figures, answer).run(); }

void write_name(kernel::TextOutput& out, const Figures& figures, std::string_view label) {
  const auto item = item_of(figures, label);
  if (!item) {
    out.write(label);
  } else if (item->kind == Kind::Channel) {
    kernel::format_to(out, "channel {}", figures.channels[item->index].id);
  } else {
    const Name& name =
        item->kind == Kind::Operator ? figures.operators[item->index].name : figures.servers[item->index].name;
    kernel::format_to(out, "'{}'", name.view());
  }
}

void write_answer(kernel::TextOutput& out, const Figures& figures, std::string_view answer) {
  for (std::size_t at = 0; at < answer.size();) {
    const std::string_view word = word_at(answer, at);
    const std::string_view core = bare(word);
    write_name(out, figures, core);
    out.write(word.substr(core.size()));
    const std::size_t next = next_begin(answer, at + word.size());
    out.write(answer.substr(at + word.size(), next - at - word.size()));
    at = next;
  }
}

}  // namespace guest::llm::explain
