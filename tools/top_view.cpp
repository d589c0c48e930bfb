#include "tools/top_view.hpp"

#include <algorithm>
#include <cstdio>

#include "tools/text.hpp"

namespace sisctl {
namespace {

/// Columns of a name; longer ones are cut.
constexpr std::size_t kNameColumns = 32;
constexpr std::size_t kBarColumns = 10;

// Rows of the screen that are not lines of the picture: the title, and what the keys do.
constexpr std::size_t kOtherRows = 2;

/// Cells in columns as wide as the widest of them.
class Table {
 public:
  explicit Table(std::string title, std::vector<std::string> headings) : title_(std::move(title)) {
    std::vector<Piece> row;
    row.reserve(headings.size());
    for (std::string& heading : headings) row.push_back({.text = std::move(heading), .style = Style::Heading});
    rows_.push_back(std::move(row));
  }
  void add(std::vector<Piece> row) { rows_.push_back(std::move(row)); }

  /// Numbers are right in their columns, all others left. `left`: how many columns are no numbers.
  void write(std::vector<Line>& out, std::size_t left) const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
    }
    if (!out.empty()) out.emplace_back();
    if (rows_.size() == 1) {
      out.push_back({{.text = "no " + title_}});
      return;
    }
    for (const auto& row : rows_) {
      Line line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string space(widths[i] - row[i].text.size(), ' ');
        const std::string gap = i == 0 ? "" : "  ";
        line.push_back({.text = i < left ? gap : gap + space});
        line.push_back(row[i]);
        if (i < left) line.push_back({.text = space});
      }
      out.push_back(std::move(line));
    }
  }

 private:
  std::string title_;
  std::vector<std::vector<Piece>> rows_;
};

std::string name_of(const std::string& text) {
  std::string name = harmless(text);
  if (name.size() > kNameColumns) name.replace(kNameColumns - 1, std::string::npos, "~");
  return name;
}

Piece counted(std::uint64_t value, Style otherwise) {
  return {.text = std::to_string(value), .style = value == 0 ? Style::Plain : otherwise};
}

std::string rate(double per_s) {
  char text[64];
  std::snprintf(text, sizeof(text), per_s < 100 ? "%.1f" : "%.0f", per_s);
  return text;
}

std::string percent(double permille) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f", permille / 10);
  return text;
}

std::string time_of(const std::optional<std::uint64_t>& ns) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  return ns ? duration(static_cast<std::int64_t>(std::min(*ns, kMost))) : "-";
}

std::string bar(std::uint64_t part, std::uint64_t whole) {
  const double share = whole == 0 ? 0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  // What is not empty is seen to be that, and only what is full looks full.
  auto filled = static_cast<std::size_t>(share * kBarColumns);
  if (part != 0) filled = std::max<std::size_t>(filled, 1);
  return "[" + std::string(filled, '#') + std::string(kBarColumns - filled, '.') + "]";
}

Style load_style(double permille) {
  return permille >= 950 ? Style::Bad : permille >= 750 ? Style::Warning : Style::Good;
}

void add_cpus(std::vector<Line>& out, const TopFigures& figures) {
  Table table("CPUs", {"CPU", "BUSY", "%", "IRQ/S", "STOLEN%"});
  for (const CpuFigures& cpu : figures.cpus) {
    const auto busy = static_cast<double>(cpu.busy_permille);
    table.add({{.text = std::to_string(cpu.cpu)},
               {.text = cpu.online ? bar(cpu.busy_permille, 1000) : "off", .style = load_style(busy)},
               {.text = percent(busy)},
               {.text = rate(cpu.interrupts_per_s)},
               {.text = cpu.stolen_permille ? percent(static_cast<double>(*cpu.stolen_permille)) : "-"}});
  }
  table.write(out, 2);
}

void add_servers(std::vector<Line>& out, const TopFigures& figures) {
  Table table("servers", {"SERVER", "STATE", "BUDGET", "%", "CPU", "JOBS", "P99", "MISSES", "OVERRUNS", "THROTTLES"});
  for (const ServerFigures& server : figures.servers) {
    const double use = server.budget_permille;
    const auto shown = static_cast<std::uint64_t>(std::min(use, 1000.0));
    table.add({{.text = name_of(server.name)},
               {.text = server.state.empty() ? "-" : name_of(server.state)},
               {.text = bar(shown, 1000), .style = load_style(use)},
               {.text = percent(use)},
               {.text = server.cpu ? std::to_string(*server.cpu) : "-"},
               {.text = std::to_string(server.jobs)},
               {.text = time_of(server.p99_ns)},
               counted(server.misses, Style::Bad),
               counted(server.overruns, Style::Bad),
               counted(server.throttles, Style::Warning)});
  }
  table.write(out, 3);
}

void add_operators(std::vector<Line>& out, const TopFigures& figures) {
  Table table("operators", {"GRAPH", "OPERATOR", "CPU", "RUNS/S", "RUNS", "P50", "P99", "OVERRUNS", "FAILURES"});
  for (const OperatorFigures& code : figures.operators) {
    table.add({{.text = name_of(code.graph)},
               {.text = name_of(code.name)},
               {.text = std::to_string(code.cpu)},
               {.text = rate(code.runs_per_s)},
               {.text = std::to_string(code.runs)},
               {.text = time_of(code.p50_ns)},
               {.text = time_of(code.p99_ns)},
               counted(code.overruns, Style::Bad),
               counted(code.failures, Style::Bad)});
  }
  table.write(out, 2);
}

void add_channels(std::vector<Line>& out, const TopFigures& figures) {
  Table table("channels", {"GRAPH", "DEPTH", "CHANNEL", "NOW", "MOST", "ROOM", "SENT/S", "STALLS", "DROPS"});
  for (const ChannelFigures& channel : figures.channels) {
    const double full =
        channel.capacity == 0 ? 0 : 1000 * static_cast<double>(channel.depth) / static_cast<double>(channel.capacity);
    table.add({{.text = name_of(channel.graph)},
               {.text = bar(channel.depth, channel.capacity), .style = load_style(full)},
               {.text = std::to_string(channel.id)},
               {.text = std::to_string(channel.depth)},
               {.text = std::to_string(channel.high_water)},
               {.text = std::to_string(channel.capacity)},
               {.text = rate(channel.sent_per_s)},
               counted(channel.stalls, Style::Warning),
               counted(channel.drops, Style::Bad)});
  }
  table.write(out, 2);
}

void add_threads(std::vector<Line>& out, const TopFigures& figures) {
  Table table("threads", {"THREAD", "ID", "CPU", "%"});
  for (const ThreadFigures& thread : figures.threads) {
    table.add({{.text = name_of(thread.name)},
               {.text = std::to_string(thread.id)},
               {.text = std::to_string(thread.cpu)},
               {.text = percent(static_cast<double>(thread.permille))}});
  }
  table.write(out, 1);
}

std::string_view sgr_of(Style style) {
  switch (style) {
    case Style::Title:
      return "\x1b[7m";
    case Style::Heading:
      return "\x1b[1m";
    case Style::Good:
      return "\x1b[32m";
    case Style::Warning:
      return "\x1b[33m";
    case Style::Bad:
      return "\x1b[31m";
    case Style::Plain:
      break;
  }
  return "";
}

Line title_of(std::string_view machine, View view, const Piece& status) {
  Line line = {{.text = " " + harmless(machine) + "  ", .style = Style::Title}};
  line.push_back({.text = status.text, .style = status.style == Style::Plain ? Style::Title : status.style});
  constexpr const char* kNames[kViews] = {"1 all", "2 servers", "3 operators", "4 channels", "5 threads"};
  for (int i = 0; i < kViews; ++i) {
    const bool chosen = static_cast<int>(view) == i;
    line.push_back({.text = std::string(chosen ? "  [" : "   ") + kNames[i] + (chosen ? "]" : " ")});
  }
  return line;
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

std::vector<Line> lines_of(const TopFigures& figures, View view) {
  std::vector<Line> lines;
  add_cpus(lines, figures);
  if (view == View::All || view == View::Servers) add_servers(lines, figures);
  if (view == View::All || view == View::Operators) add_operators(lines, figures);
  if (view == View::All || view == View::Channels) add_channels(lines, figures);
  if (view == View::All || view == View::Threads) add_threads(lines, figures);
  return lines;
}

std::string painted(const Line& line, std::size_t columns, bool colour) {
  std::string out;
  for (const Piece& piece : line) {
    const std::string_view shown = std::string_view(piece.text).substr(0, columns);
    columns -= shown.size();
    const std::string_view sgr = colour ? sgr_of(piece.style) : "";
    out.append(sgr).append(shown).append(sgr.empty() ? "" : "\x1b[m");
  }
  return out;
}

std::string plain(const Line& line) {
  std::string out = painted(line, std::string::npos, false);
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

std::size_t last_first(std::size_t lines, const Screen& screen) {
  const std::size_t shown = screen.rows - std::min(screen.rows, kOtherRows);
  return lines - std::min(lines, shown);
}

std::string draw(const Screen& screen, std::string_view machine, View view, const Piece& status,
                 const std::vector<Line>& lines, std::size_t first) {
  // ECMA-48, "CUP": to a row; "EL": clears the rest of a row; "ED": what is below. A row is cleared before it is
  // written: behind one that fills it the cursor still stands on its last column.
  std::string out = "\x1b[H";
  const auto put = [&](const Line& line) { out += "\x1b[K" + painted(line, screen.columns, screen.colour); };
  if (screen.columns < kMinColumns || screen.rows < kMinRows) {
    put({{.text = "too small: " + std::to_string(screen.columns) + "x" + std::to_string(screen.rows) + ", needs " +
                  std::to_string(kMinColumns) + "x" + std::to_string(kMinRows)}});
    return out + (screen.rows > 1 ? "\r\n\x1b[J" : "");
  }
  put(title_of(machine, view, status));
  first = std::min(first, last_first(lines.size(), screen));
  const std::size_t end = std::min(lines.size(), first + screen.rows - kOtherRows);
  for (std::size_t i = first; i < end; ++i) {
    out += "\r\n";
    put(lines[i]);
  }
  out += "\r\n\x1b[J\x1b[" + std::to_string(screen.rows) + ";1H";
  std::string keys = "q ends   1-5 or left, right: what is shown";
  if (end - first < lines.size()) {
    keys += "   up, down: lines " + std::to_string(first + 1) + " to " + std::to_string(end) + " of " +
            std::to_string(lines.size());
  }
  put({{.text = keys, .style = Style::Heading}});
  return out;
}

}  // namespace sisctl
