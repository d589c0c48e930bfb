// The picture of `sisctl top`: figures as lines of text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/top_figures.hpp"

namespace sisctl {

enum class Style : std::uint8_t { Plain, Title, Heading, Good, Warning, Bad };

struct Piece {
  std::string text;  ///< of printable ASCII: as many columns as bytes
  Style style = Style::Plain;
};
using Line = std::vector<Piece>;

/// A text of the guest's as a piece of a line: all that is not printable ASCII is a '?'.
std::string harmless(std::string_view text);

/// What is shown below the CPUs.
enum class View : std::uint8_t { All, Servers, Operators, Channels, Threads };
inline constexpr int kViews = 5;

/// The CPUs, then what `view` says.
std::vector<Line> lines_of(const TopFigures& figures, View view);

/// A part of the picture of which `columns` are left, its attributes (ECMA-48, "SGR") only with `colour`.
std::string painted(const Line& line, std::size_t columns, bool colour);
/// The same without attributes and blanks at its end.
std::string plain(const Line& line);

/// What a terminal shows: a title, as many lines as fit from number `first` on, what the keys do.
struct Screen {
  std::size_t columns = 80;
  std::size_t rows = 24;
  bool colour = true;
};
/// The smallest one on which there is something to see.
inline constexpr std::size_t kMinColumns = 40;
inline constexpr std::size_t kMinRows = 5;

/// The largest `first` for which the screen is full.
std::size_t last_first(std::size_t lines, const Screen& screen);
/// The bytes that draw it. `status`: beside the title, of the guest or ours.
std::string draw(const Screen& screen, std::string_view machine, View view, const Piece& status,
                 const std::vector<Line>& lines, std::size_t first);

}  // namespace sisctl
