#include "guest/llm/explain/answer.hpp"

#include <algorithm>

#include "claims.hpp"
#include "figure_words.hpp"
#include "labels.hpp"

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
        take_claim(at, claim);
        // What is attached to its last word goes with it.
        return claim.words.size() + word_at(answer_, at + claim.words.size()).size();
      }
    }
    const std::string_view word = word_at(answer_, at);
    const std::string_view core = bare(word);
    if (looks_like_figure(core)) {
      return take_figure(at, core);
    }
    if (looks_like_label(core)) {
      const auto item = item_of(figures_, core);
      add({.text = core, .supported = item.has_value(), .subject = core});
      speak_of(item, core);
    } else if (is_number(core)) {
      add({.text = core});  // of nothing
    }
    return word.size();
  }

  [[nodiscard]] bool claims_at(std::size_t at, std::string_view words) const {
    const std::string_view rest = answer_.substr(at);
    return rest.starts_with(words) && (rest.size() == words.size() || kEndsOfWords.contains(rest[words.size()]) ||
                                       kAttached.contains(rest[words.size()]));
  }

  void take_claim(std::size_t at, const Claim& claim) {
    if (claim.of == Claim::Of::Next) {
      const std::string_view next = bare(word_at(answer_, next_begin(answer_, at + claim.words.size())));
      speak_of(item_of(figures_, next), looks_like_label(next) ? next : std::string_view());
    }
    Statement made{.text = answer_.substr(at, claim.words.size())};
    made.supported = claim.holds(figures_, subject_, answer_);
    made.subject = subject_text_;
    made.figure = claim.figure;
    add(made);
  }

  /// A figure's word, and the value behind it, which goes with it.
  std::size_t take_figure(std::size_t at, std::string_view word) {
    const std::size_t value_at = next_begin(answer_, at + word_at(answer_, at).size());
    const std::string_view value_word = word_at(answer_, value_at);
    const std::string_view value = bare(value_word);
    const std::size_t size = value_at + value_word.size() - at;
    Statement made{.text = answer_.substr(at, value_at + value.size() - at)};
    const auto figure = cited(figures_, word);
    if (figure) {
      made.subject = figure->whose;
      made.figure = figure->word->name;
      if (figure->word->shown != Shown::Label) {
        made.value = figure->word->value(figures_, figure->item.index);
      }
      made.shown = show(figures_, *figure);
      made.supported = made.shown.view() == value;
    }
    add(made);
    speak_of(figure ? std::optional(figure->item) : std::nullopt, figure ? figure->whose : word);
    return size;
  }

  void speak_of(std::optional<Item> item, std::string_view text) {
    subject_ = item;
    subject_text_ = text;
  }
  void add(const Statement& statement) { check_.complete = check_.statements.push_back(statement) && check_.complete; }

  const Figures& figures_;
  std::string_view answer_;
  Check check_;
  std::optional<Item> subject_;  ///< what was named last; nothing: nothing yet, or something that there is not
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
    const bool op = item->kind == Kind::Operator;
    kernel::format_to(out, "'{}'",
                      (op ? figures.operators[item->index].name : figures.servers[item->index].name).view());
  }
}

void write_answer(kernel::TextOutput& out, const Figures& figures, std::string_view answer) {
  std::string_view subject;  // what was named last
  for (std::size_t at = 0; at < answer.size();) {
    const std::string_view word = word_at(answer, at);
    const std::string_view core = bare(word);
    if (const auto figure = cited(figures, core)) {
      if (figure->whose != subject) {
        write_name(out, figures, figure->whose);
        out.write(" ");
      }
      subject = figure->whose;
      out.write(figure->word->said);
    } else {
      write_name(out, figures, core);
      subject = looks_like_label(core) ? core : subject;
    }
    out.write(word.substr(core.size()));
    const std::size_t next = next_begin(answer, at + word.size());
    out.write(answer.substr(at + word.size(), next - at - word.size()));
    at = next;
  }
}

}  // namespace guest::llm::explain
