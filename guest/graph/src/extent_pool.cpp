#include "guest/graph/extent_pool.hpp"

#include <bit>

#include "guest/kernel/panic.hpp"

namespace guest::graph {

// Sizes below kSteps have a class each; above, the level is where the highest bit is and the step are the bits below.
ExtentPool::Class ExtentPool::class_of(std::uint64_t units) {
  if (units < kSteps) {
    return {.level = 0, .step = static_cast<std::uint32_t>(units)};
  }
  const auto shift = static_cast<std::uint32_t>(std::bit_width(units)) - 1 - kStepBits;
  return {.level = shift + 1, .step = static_cast<std::uint32_t>(units >> shift) - kSteps};
}

/// The smallest size of the first class whose pieces are all of `units` or more.
std::uint64_t ExtentPool::round_up_to_class(std::uint64_t units) {
  if (units < kSteps) {
    return units;
  }
  const std::uint64_t step = std::uint64_t{1} << (static_cast<unsigned>(std::bit_width(units)) - 1 - kStepBits);
  return (units + step - 1) & ~(step - 1);
}

void ExtentPool::start(std::uint64_t units, std::span<Record> records) {
  kernel::require(units > 0 && units <= kMaxUnits, "an extent pool of no size, or too large");
  kernel::require(!records.empty() && records.size() < kNone, "an extent pool without records, or with too many");
  records_ = records;
  for (auto& level : lists_) {
    for (std::uint32_t& list : level) {
      list = kNone;
    }
  }
  unused_records_ = kNone;
  for (std::size_t i = records.size(); i > 0; --i) {
    give_record(static_cast<std::uint32_t>(i - 1));
  }
  const std::uint32_t all = take_record();
  records_[all] = {.first_unit = 0,
                   .units = static_cast<std::uint32_t>(units),
                   .before = kNone,
                   .after = kNone,
                   .previous = kNone,
                   .next = kNone,
                   .free = false};
  insert_free(all);
}

/// The first class from `least` on that has pieces.
std::optional<ExtentPool::Class> ExtentPool::first_from(Class least) const {
  const std::uint32_t steps = steps_[least.level] & (~std::uint32_t{0} << least.step);
  if (steps != 0) {
    return Class{.level = least.level, .step = static_cast<std::uint32_t>(std::countr_zero(steps))};
  }
  // 64 bits: the level may be the last one.
  const std::uint64_t levels = levels_ & (~std::uint64_t{0} << (least.level + 1));
  if (levels == 0) {
    return std::nullopt;
  }
  const auto level = static_cast<std::uint32_t>(std::countr_zero(levels));
  return Class{.level = level, .step = static_cast<std::uint32_t>(std::countr_zero(std::uint32_t{steps_[level]}))};
}

/// A free piece of at least `units`, or kNone.
std::uint32_t ExtentPool::find(std::uint64_t units) const {
  if (units > kMaxUnits) {
    return kNone;
  }
  if (const std::uint64_t rounded = round_up_to_class(units); rounded <= kMaxUnits) {
    if (const std::optional<Class> found = first_from(class_of(rounded))) {
      return lists_[found->level][found->step];
    }
  }
  // Pieces of its own class may be large enough or not. One look: the list can be long.
  const Class own = class_of(units);
  const std::uint32_t first = lists_[own.level][own.step];
  return first != kNone && records_[first].units >= units ? first : kNone;
}

std::optional<ExtentPool::Extent> ExtentPool::allocate(std::uint64_t units) {
  kernel::require(units > 0, "an extent of no size");
  const std::uint32_t index = find(units);
  if (index == kNone) {
    return std::nullopt;
  }
  const bool divides = records_[index].units > units;
  if (divides && unused_records_ == kNone) {
    return std::nullopt;  // more pieces in use than the owner said
  }
  remove_free(index);
  if (divides) {
    split(index, static_cast<std::uint32_t>(units));
  }
  return Extent{.record = index, .first_unit = records_[index].first_unit};
}

void ExtentPool::release(std::uint32_t record) {
  kernel::require(record < records_.size() && !records_[record].free && records_[record].units != 0,
                  "release of an extent that is not in use");
  std::uint32_t piece = record;
  if (const std::uint32_t before = records_[piece].before; before != kNone && records_[before].free) {
    remove_free(before);
    piece = join(before, piece);
  }
  if (const std::uint32_t after = records_[piece].after; after != kNone && records_[after].free) {
    remove_free(after);
    piece = join(piece, after);
  }
  insert_free(piece);
}

std::uint32_t ExtentPool::free_pieces() const {
  std::uint32_t pieces = 0;
  for (const auto& level : lists_) {
    for (std::uint32_t index : level) {
      for (; index != kNone; index = records_[index].next) {
        ++pieces;
      }
    }
  }
  return pieces;
}

void ExtentPool::insert_free(std::uint32_t index) {
  Record& piece = records_[index];
  const Class cls = class_of(piece.units);
  std::uint32_t& list = lists_[cls.level][cls.step];
  piece.free = true;
  piece.previous = kNone;
  piece.next = list;
  if (list != kNone) {
    records_[list].previous = index;
  }
  list = index;
  levels_ |= std::uint32_t{1} << cls.level;
  steps_[cls.level] = static_cast<std::uint8_t>(steps_[cls.level] | (1U << cls.step));
  free_units_ += piece.units;
}

void ExtentPool::remove_free(std::uint32_t index) {
  Record& piece = records_[index];
  const Class cls = class_of(piece.units);
  std::uint32_t& list = lists_[cls.level][cls.step];
  if (piece.previous != kNone) {
    records_[piece.previous].next = piece.next;
  } else {
    list = piece.next;
  }
  if (piece.next != kNone) {
    records_[piece.next].previous = piece.previous;
  }
  if (list == kNone) {
    steps_[cls.level] = static_cast<std::uint8_t>(steps_[cls.level] & ~(1U << cls.step));
    if (steps_[cls.level] == 0) {
      levels_ &= ~(std::uint32_t{1} << cls.level);
    }
  }
  piece.free = false;
  free_units_ -= piece.units;
}

/// Leaves `units` to the piece, which is in no list, and makes a free piece of the rest.
void ExtentPool::split(std::uint32_t index, std::uint32_t units) {
  const std::uint32_t rest = take_record();
  Record& piece = records_[index];
  records_[rest] = {.first_unit = piece.first_unit + units,
                    .units = piece.units - units,
                    .before = index,
                    .after = piece.after,
                    .previous = kNone,
                    .next = kNone,
                    .free = false};
  if (piece.after != kNone) {
    records_[piece.after].before = rest;
  }
  piece.units = units;
  piece.after = rest;
  insert_free(rest);
}

/// Makes one piece of two neighbours that are in no list. Returns the first one.
std::uint32_t ExtentPool::join(std::uint32_t first, std::uint32_t second) {
  Record& piece = records_[first];
  piece.units += records_[second].units;
  piece.after = records_[second].after;
  if (piece.after != kNone) {
    records_[piece.after].before = first;
  }
  give_record(second);
  return first;
}

std::uint32_t ExtentPool::take_record() {
  const std::uint32_t index = unused_records_;
  kernel::require(index != kNone, "an extent pool without a record for a piece");
  unused_records_ = records_[index].next;
  return index;
}

void ExtentPool::give_record(std::uint32_t index) {
  records_[index] = {.first_unit = 0,
                     .units = 0,
                     .before = kNone,
                     .after = kNone,
                     .previous = kNone,
                     .next = unused_records_,
                     .free = false};
  unused_records_ = index;
}

}  // namespace guest::graph
