// A map with known keys: the table of options from which a struct is read, written and described.
//
// What does not depend on the struct is SectionKeys's, so that it is compiled once: there are some forty sections.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "types.hpp"

namespace vmm::scenario {

enum class Presence { Optional, Required };

/// What is said of one key.
struct KeyFacts {
  std::string key;
  std::string help;
  Presence presence = Presence::Optional;
  std::shared_ptr<const AnyType> type;
};

/// The keys of a section, by their place.
class SectionKeys {
 public:
  void add(KeyFacts facts) { keys_.push_back(std::move(facts)); }

  [[nodiscard]] const std::string& name(std::size_t place) const { return keys_[place].key; }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view key) const;

  /// "a, b, c".
  [[nodiscard]] std::string names() const;

  /// Reports an entry of the section `key` that is none of these.
  void report_unknown(Problems& problems, const std::string& key, const Node::Entry& entry) const;

  /// Reports the required ones that the map `node` lacks.
  void report_missing(Problems& problems, const std::string& key, const Node& node) const;

  /// @param defaults what a fresh struct holds, written, for each key
  [[nodiscard]] OrderedJson schema(const std::vector<OrderedJson>& defaults) const;
  void document(const std::string& key, const std::vector<OrderedJson>& defaults, std::vector<OptionRow>& rows) const;

  static std::string join(const std::string& key, const std::string& next);

 private:
  std::vector<KeyFacts> keys_;
};

/// What one key sets in a T.
template <typename T>
class Part {
 public:
  virtual ~Part() = default;
  virtual void read(Problems& problems, const std::string& key, const Node& node, T& out) const = 0;
  virtual bool read_at(Problems& problems, const std::string& key, std::string_view path, const Node& node,
                       T& out) const = 0;
  [[nodiscard]] virtual OrderedJson write(const T& value) const = 0;
};

/// One key of a section. Its default is what a fresh T holds.
template <typename T>
struct Option {
  KeyFacts facts;
  std::shared_ptr<const Part<T>> part;
};

namespace section_detail {

template <typename T, typename V>
class MemberPart final : public Part<T> {
 public:
  MemberPart(V T::* member, TypePtr<V> type) : member_(member), type_(std::move(type)) {}
  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    type_->read(problems, key, node, out.*member_);
  }
  bool read_at(Problems& problems, const std::string& key, std::string_view path, const Node& node,
               T& out) const override {
    return type_->read_at(problems, key, path, node, out.*member_);
  }
  [[nodiscard]] OrderedJson write(const T& value) const override { return type_->write(value.*member_); }

 private:
  V T::* member_;
  TypePtr<V> type_;
};

template <typename T>
class WholePart final : public Part<T> {
 public:
  explicit WholePart(TypePtr<T> type) : type_(std::move(type)) {}
  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    type_->read(problems, key, node, out);
  }
  bool read_at(Problems& problems, const std::string& key, std::string_view path, const Node& node,
               T& out) const override {
    return type_->read_at(problems, key, path, node, out);
  }
  [[nodiscard]] OrderedJson write(const T& value) const override { return type_->write(value); }

 private:
  TypePtr<T> type_;
};

}  // namespace section_detail

/// A key that sets one member.
template <typename T, typename V>
Option<T> option(std::string key, V T::* member, TypePtr<V> type, std::string help,
                 Presence presence = Presence::Optional) {
  auto part = std::make_shared<section_detail::MemberPart<T, V>>(member, type);
  return {{std::move(key), std::move(help), presence, std::move(type)}, std::move(part)};
}

/// A key whose map sets further members of the same struct.
template <typename T>
Option<T> group(std::string key, TypePtr<T> section, std::string help, Presence presence = Presence::Optional) {
  auto part = std::make_shared<section_detail::WholePart<T>>(section);
  return {{std::move(key), std::move(help), presence, std::move(section)}, std::move(part)};
}

template <typename T>
class Section final : public Type<T> {
 public:
  /// What must hold between the options of one map; called when the map itself was read without a problem.
  using Check = std::function<void(Problems&, const std::string& key, const Node& node, T& value)>;

  explicit Section(std::vector<Option<T>> options, Check check = {}) : check_(std::move(check)) {
    for (Option<T>& option : options) {
      keys_.add(std::move(option.facts));
      parts_.push_back(std::move(option.part));
    }
  }

  void read(Problems& problems, const std::string& key, const Node& node, T& out) const override {
    if (node.kind != Node::Kind::Map) {
      problems.add(node.at, key, found(node), allowed());
      return;
    }
    const std::size_t before = problems.count();
    for (const Node::Entry& entry : node.entries) {
      if (const auto place = keys_.find(entry.key)) {
        parts_[*place]->read(problems, SectionKeys::join(key, entry.key), entry.value, out);
      } else {
        keys_.report_unknown(problems, key, entry);
      }
    }
    keys_.report_missing(problems, key, node);
    if (check_ && problems.count() == before) check_(problems, key, node, out);
  }

  bool read_at(Problems& problems, const std::string& key, std::string_view path, const Node& node,
               T& out) const override {
    const std::size_t dot = path.find('.');
    const auto place = keys_.find(path.substr(0, dot));
    if (!place) return false;
    if (dot != std::string_view::npos) return parts_[*place]->read_at(problems, key, path.substr(dot + 1), node, out);
    parts_[*place]->read(problems, key, node, out);
    return true;
  }

  [[nodiscard]] OrderedJson write(const T& value) const override {
    OrderedJson map = OrderedJson::object();
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (OrderedJson written = parts_[i]->write(value); !written.is_null()) map[keys_.name(i)] = std::move(written);
    }
    return map;
  }

  [[nodiscard]] OrderedJson schema() const override { return keys_.schema(defaults()); }
  [[nodiscard]] std::string allowed() const override { return "a map with " + keys_.names(); }
  void document(const std::string& key, std::vector<OptionRow>& rows) const override {
    keys_.document(key, defaults(), rows);
  }

 private:
  [[nodiscard]] std::vector<OrderedJson> defaults() const {
    const T fresh{};
    std::vector<OrderedJson> written;
    for (const auto& part : parts_) written.push_back(part->write(fresh));
    return written;
  }

  SectionKeys keys_;
  std::vector<std::shared_ptr<const Part<T>>> parts_;  ///< in the places of their keys
  Check check_;
};

template <typename T>
TypePtr<T> section(std::vector<Option<T>> options, typename Section<T>::Check check = {}) {
  return std::make_shared<Section<T>>(std::move(options), std::move(check));
}

}  // namespace vmm::scenario
