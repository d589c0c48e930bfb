#include "vmm/observe/trace_records.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "reply_fields.hpp"

namespace vmm::observe {

using abi::trace::Record;

bool TraceRecords::take(const nlohmann::json& event) {
  if (!event.is_object() || !event.contains("records") || !event["records"].is_binary()) return false;
  const auto& bytes = event["records"].get_binary();
  if (bytes.size() % sizeof(Record) != 0) return false;
  if (event.contains("lost_by_cpu")) take_losses(event["lost_by_cpu"]);
  static_assert(std::endian::native == std::endian::little, "records are copied as they are");
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Record)) {
    Record record{};
    std::memcpy(&record, bytes.data() + at, sizeof(record));
    take_record(record);
  }
  frozen_ = frozen_ || flag_in(event, "frozen");
  return true;
}

void TraceRecords::take_losses(const nlohmann::json& by_cpu) {
  if (!by_cpu.is_array()) return;
  for (std::size_t i = 0; i < std::min(by_cpu.size(), kMaxCpus); ++i) {
    Cpu& cpu = cpus_[i];
    const std::uint64_t total = number_in(by_cpu[i]).value_or(cpu.guest_lost);
    const std::uint64_t missing = total > cpu.guest_lost && !cpu.counts_anew ? total - cpu.guest_lost : 0;
    cpu.guest_lost = total;
    cpu.counts_anew = false;
    cpu_count_ = std::max(cpu_count_, i + 1);
    if (missing == 0) continue;
    cpu.lost += missing;
    add_gap(i, missing);
  }
}

void TraceRecords::add_gap(std::size_t cpu, std::uint64_t missing) {
  add({.time_ns = cpus_[cpu].last_time,
       .type = kGap,
       .cpu = static_cast<std::uint16_t>(cpu),
       .argument0 = 0,
       .argument1 = missing,
       .argument2 = 0});
}

void TraceRecords::miss() {
  for (std::size_t cpu = 0; cpu < cpu_count_; ++cpu) add_gap(cpu, 0);
}

void TraceRecords::take_record(const Record& record) {
  if (record.type >= abi::trace::kTypes || record.cpu >= kMaxCpus) {
    ++malformed_;
    return;
  }
  Cpu& cpu = cpus_[record.cpu];
  if (cpu.resumes && record.time_ns <= cpu.last_time) return;
  cpu.resumes = false;
  cpu.last_time = record.time_ns;
  cpu_count_ = std::max<std::size_t>(cpu_count_, std::size_t{record.cpu} + 1);
  last_time_ = std::max(last_time_, record.time_ns);
  add(record);
}

void TraceRecords::add(const Record& record) {
  if (chunks_.empty() || chunks_.back().size() == chunk_) {
    if (size_ >= max_records_) {
      dropped_ += chunks_.front().size();
      size_ -= chunks_.front().size();
      chunks_.pop_front();
    }
    chunks_.emplace_back().reserve(chunk_);
  }
  chunks_.back().push_back(record);
  ++size_;
}

void TraceRecords::resume() {
  for (Cpu& cpu : cpus_) cpu.resumes = cpu.counts_anew = true;
}

std::vector<std::uint64_t> TraceRecords::lost_by_cpu() const {
  std::vector<std::uint64_t> lost(cpu_count_);
  for (std::size_t i = 0; i < cpu_count_; ++i) lost[i] = cpus_[i].lost;
  return lost;
}

}  // namespace vmm::observe
