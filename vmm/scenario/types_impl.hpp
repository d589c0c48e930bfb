// Templates of types.hpp.
#pragma once

#include <algorithm>
#include <optional>

#include "types.hpp"

namespace vmm::scenario {
namespace types_detail {

OrderedJson choice_schema(const std::vector<std::string>& words);
std::string choice_words(const std::vector<std::string>& words);
OrderedJson list_schema(OrderedJson item, std::size_t min, std::size_t max);
std::string list_words(std::size_t min, std::size_t max);

}  // namespace types_detail

template <typename T>
class ChoiceType final : public Type<T> {
 public:
  explicit ChoiceType(std::vector<std::pair<std::string, T>> values) : values_(std::move(values)) {}

  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    if (node.kind == Node::Kind::Plain || node.kind == Node::Kind::Quoted) {
      const auto match = std::ranges::find(values_, node.text, &std::pair<std::string, T>::first);
      if (match != values_.end()) {
        out = match->second;
        return;
      }
    }
    problems.add(node.at, key, found(node), allowed());
  }

  [[nodiscard]] OrderedJson write(const T& value) const override {
    const auto match = std::ranges::find(values_, value, &std::pair<std::string, T>::second);
    return match == values_.end() ? OrderedJson() : OrderedJson(match->first);
  }

  [[nodiscard]] OrderedJson schema() const override { return types_detail::choice_schema(names()); }

  [[nodiscard]] std::string allowed() const override { return types_detail::choice_words(names()); }

 private:
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& value : values_) names.push_back(value.first);
    return names;
  }

  std::vector<std::pair<std::string, T>> values_;
};

template <typename T>
TypePtr<T> choice(std::vector<std::pair<std::string, T>> values) {
  return std::make_shared<ChoiceType<T>>(std::move(values));
}

template <typename T>
class MaybeType final : public Type<std::optional<T>> {
 public:
  explicit MaybeType(TypePtr<T> type) : type_(std::move(type)) {}

  void read(Problems& problems, const std::string& key, const Node& node, std::optional<T>& out) const override {
    type_->read(problems, key, node, out.emplace());
  }
  [[nodiscard]] OrderedJson write(const std::optional<T>& value) const override {
    return value ? type_->write(*value) : OrderedJson();
  }
  [[nodiscard]] OrderedJson schema() const override { return type_->schema(); }
  [[nodiscard]] std::string allowed() const override { return type_->allowed(); }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override { type_->document(key, rows); }

 private:
  TypePtr<T> type_;
};

template <typename T>
TypePtr<std::optional<T>> maybe(TypePtr<T> type) {
  return std::make_shared<MaybeType<T>>(std::move(type));
}

template <typename T>
class ListType final : public Type<std::vector<T>> {
 public:
  ListType(TypePtr<T> item, std::size_t min, std::size_t max) : item_(std::move(item)), min_(min), max_(max) {}

  void read(Problems& problems, const std::string& key, const Node& node, std::vector<T>& out) const override {
    if (node.kind != Node::Kind::List) {
      problems.add(node.at, key, found(node), allowed());
      return;
    }
    if (node.items.size() < min_ || node.items.size() > max_) {
      problems.add(node.at, key, "a list of " + std::to_string(node.items.size()), allowed());
      return;
    }
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      item_->read(problems, key + '[' + std::to_string(i) + ']', node.items[i], out.emplace_back());
    }
  }

  [[nodiscard]] OrderedJson write(const std::vector<T>& value) const override {
    OrderedJson items = OrderedJson::array();
    for (const T& item : value) items.push_back(item_->write(item));
    return items;
  }

  [[nodiscard]] OrderedJson schema() const override { return types_detail::list_schema(item_->schema(), min_, max_); }

  [[nodiscard]] std::string allowed() const override { return types_detail::list_words(min_, max_); }

  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    item_->document(key + "[]", rows);
  }

 private:
  TypePtr<T> item_;
  std::size_t min_;
  std::size_t max_;
};

template <typename T>
TypePtr<std::vector<T>> list(TypePtr<T> item, std::size_t min, std::size_t max) {
  return std::make_shared<ListType<T>>(std::move(item), min, max);
}

}  // namespace vmm::scenario
