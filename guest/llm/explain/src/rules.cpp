#include "rules.hpp"

namespace guest::llm::explain {
namespace {

using enum Unit;

template <auto Member>
std::uint64_t of_operator(const Figures& figures, std::size_t index) {
  return figures.operators[index].*Member;
}
template <auto Member>
std::uint64_t of_channel(const Figures& figures, std::size_t index) {
  return figures.channels[index].*Member;
}
template <auto Member>
std::uint64_t of_server(const Figures& figures, std::size_t index) {
  return figures.servers[index].*Member;
}
template <auto Member>
std::uint64_t of_audit(const Figures& figures, std::size_t) {
  return figures.audit.*Member;
}
template <auto Member>
std::uint64_t of_npu(const Figures& figures, std::size_t) {
  return (*figures.npu).*Member;
}
template <auto Member>
std::uint64_t of_llm(const Figures& figures, std::size_t) {
  return (*figures.llm).*Member;
}

constexpr Rule kRules[] = {
    {Kind::Operator, "busy", "", "busy_permille", Permille, of_operator<&Operator::busy_permille>},
    {Kind::Operator, "takes", "", "run_ns", Nanoseconds, of_operator<&Operator::run_ns>},
    {Kind::Operator, "most", "", "max_ns", Nanoseconds, of_operator<&Operator::max_ns>},
    {Kind::Operator, "limit", "", "limit_ns", Nanoseconds, of_operator<&Operator::limit_ns>},
    {Kind::Operator, "", "times", "over", Count, of_operator<&Operator::over>},
    {Kind::Operator, "", "", "run_ns", Nanoseconds, of_operator<&Operator::run_ns>},
    {Kind::Channel, "most", "", "top", Count, of_channel<&Channel::top>},
    {Kind::Channel, "of", "", "capacity", Count, of_channel<&Channel::capacity>},
    {Kind::Channel, "", "times", "hits", Count, of_channel<&Channel::hits>},
    {Kind::Server, "missed", "", "misses", Count, of_server<&Server::misses>},
    {Kind::Server, "throttled", "", "throttles", Count, of_server<&Server::throttles>},
    {Kind::Server, "budget", "", "budget_ns", Nanoseconds, of_server<&Server::budget_ns>},
    {Kind::Server, "than", "", "budget_ns", Nanoseconds, of_server<&Server::budget_ns>},
    {Kind::Server, "period", "", "period_ns", Nanoseconds, of_server<&Server::period_ns>},
    {Kind::Server, "took", "", "worst_ns", Nanoseconds, of_server<&Server::worst_ns>},
    {Kind::Server, "of", "", "jobs", Count, of_server<&Server::jobs>},
    {Kind::Server, "", "jobs", "over", Count, of_server<&Server::over>},
    {Kind::Server, "", "of", "over", Count, of_server<&Server::over>},
    {Kind::Audit, "", "refused", "refused", Count, of_audit<&Audit::refused>},
    {Kind::Audit, "", "accepted", "accepted", Count, of_audit<&Audit::accepted>},
    {Kind::Audit, "", "links", "links", Count, of_audit<&Audit::links>},
    {Kind::Npu, "missed", "", "misses", Count, of_npu<&Npu::misses>},
    {Kind::Npu, "of", "", "jobs", Count, of_npu<&Npu::jobs>},
    {Kind::Npu, "most", "", "top", Count, of_npu<&Npu::top>},
    {Kind::Llm, "refused", "", "refused", Count, of_llm<&Llm::refused>},
    {Kind::Llm, "of", "", "asked", Count, of_llm<&Llm::asked>},
    {Kind::Llm, "missed", "", "misses", Count, of_llm<&Llm::misses>},
};

}  // namespace

std::span<const Rule> rules() { return kRules; }

}  // namespace guest::llm::explain
