// A GGUF file, put together value by value, with whatever is wrong about it.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest/gguf/file.hpp"

namespace guest::gguf::testing {

template <typename T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

/// u64 length, and the text.
inline std::string text_bytes(std::string_view text) {
  return bytes_of(std::uint64_t{text.size()}) + std::string(text);
}

template <typename T>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<T, bool>) {
    return ValueType::Bool;
  } else if constexpr (std::is_same_v<T, float>) {
    return ValueType::F32;
  } else if constexpr (std::is_same_v<T, double>) {
    return ValueType::F64;
  } else {
    constexpr bool kSigned = std::is_signed_v<T>;
    switch (sizeof(T)) {
      case 1:
        return kSigned ? ValueType::I8 : ValueType::U8;
      case 2:
        return kSigned ? ValueType::I16 : ValueType::U16;
      case 4:
        return kSigned ? ValueType::I32 : ValueType::U32;
      default:
        return kSigned ? ValueType::I64 : ValueType::U64;
    }
  }
}

class Builder {
 public:
  /// The counts are those of what was added, unless they are set.
  std::uint32_t version = File::kVersion;
  std::string magic = "GGUF";
  std::uint64_t alignment = File::kDefaultAlignment;

  /// A key whose value is `value`, as it stands in the file.
  Builder& raw(std::string_view key, std::uint32_t type, std::string_view value) {
    keys_ += text_bytes(key) + bytes_of(type) + std::string(value);
    ++key_count_;
    return *this;
  }
  template <typename T>
  Builder& put(std::string_view key, T value) {
    return raw(key, static_cast<std::uint32_t>(value_type<T>()), bytes_of(value));
  }
  Builder& put(std::string_view key, std::string_view text) {
    return raw(key, static_cast<std::uint32_t>(ValueType::String), text_bytes(text));
  }
  Builder& put(std::string_view key, const char* text) { return put(key, std::string_view(text)); }
  template <typename T>
  Builder& put_array(std::string_view key, const std::vector<T>& values) {
    std::string bytes;
    for (const T value : values) {
      bytes += bytes_of(value);
    }
    return raw_array(key, static_cast<std::uint32_t>(value_type<T>()), values.size(), bytes);
  }
  Builder& put_array(std::string_view key, const std::vector<std::string>& texts) {
    std::string bytes;
    for (const std::string& text : texts) {
      bytes += text_bytes(text);
    }
    return raw_array(key, static_cast<std::uint32_t>(ValueType::String), texts.size(), bytes);
  }
  Builder& raw_array(std::string_view key, std::uint32_t element_type, std::uint64_t size, std::string_view elements) {
    return raw(key, static_cast<std::uint32_t>(ValueType::Array),
               bytes_of(element_type) + bytes_of(size) + std::string(elements));
  }

  /// A tensor's entry, as it is; no data.
  Builder& raw_tensor(std::string_view name, const std::vector<std::uint64_t>& extents, std::uint32_t type,
                      std::uint64_t offset) {
    tensors_ += text_bytes(name) + bytes_of(static_cast<std::uint32_t>(extents.size()));
    for (const std::uint64_t extent : extents) {
      tensors_ += bytes_of(extent);
    }
    tensors_ += bytes_of(type) + bytes_of(offset);
    ++tensor_count_;
    return *this;
  }
  /// Behind the data of the tensors so far.
  Builder& put_tensor(std::string_view name, const std::vector<std::uint64_t>& extents, Type type,
                      std::string_view data) {
    pad(data_);
    raw_tensor(name, extents, static_cast<std::uint32_t>(type), data_.size());
    data_ += data;
    return *this;
  }
  Builder& put_floats(std::string_view name, const std::vector<std::uint64_t>& extents,
                      const std::vector<float>& values) {
    return put_tensor(name, extents, Type::F32,
                      {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }
  Builder& put_data(std::string_view data) {
    data_ += data;
    return *this;
  }
  Builder& set_counts(std::uint64_t tensors, std::uint64_t keys) {
    tensor_count_ = tensors;
    key_count_ = keys;
    return *this;
  }

  [[nodiscard]] std::string bytes() const {
    std::string all = magic + bytes_of(version) + bytes_of(tensor_count_) + bytes_of(key_count_) + keys_ + tensors_;
    if (!data_.empty()) {
      pad(all);
    }
    return all + data_;
  }

 private:
  void pad(std::string& bytes) const { bytes.resize((bytes.size() + alignment - 1) / alignment * alignment); }

  std::string keys_;
  std::string tensors_;
  std::string data_;
  std::uint64_t key_count_ = 0;
  std::uint64_t tensor_count_ = 0;
};

}  // namespace guest::gguf::testing
