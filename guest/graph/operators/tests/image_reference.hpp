// What image operators compute, written down once more, as plainly as possible.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace guest::graph::reference {

template <typename T>
struct Image {
  int height;
  int width;
  int channels;
  std::vector<T> values;
  [[nodiscard]] T at(int y, int x, int channel) const {
    return values[static_cast<std::size_t>((y * width + x) * channels + channel)];
  }
};

/// Values that are different from their neighbours, extremes among them.
inline Image<std::uint8_t> some_bytes(int height, int width, int channels) {
  Image<std::uint8_t> image{height, width, channels, {}};
  for (int i = 0; i < height * width * channels; ++i) {
    image.values.push_back(static_cast<std::uint8_t>(i % 7 == 0 ? 255 : i % 5 == 0 ? 0 : (i * 37 + i * i) % 256));
  }
  return image;
}

inline Image<float> as_floats(const Image<std::uint8_t>& image) {
  Image<float> floats{image.height, image.width, image.channels, {}};
  for (const std::uint8_t value : image.values) {
    floats.values.push_back(static_cast<float>(value) / 3.0F - 20.0F);
  }
  return floats;
}

inline std::vector<int> kernel_of(const std::string& name) {
  if (name == "box") {
    return {1, 1, 1, 1, 1, 1, 1, 1, 1};
  }
  if (name == "gauss") {
    return {1, 2, 1, 2, 4, 2, 1, 2, 1};
  }
  if (name == "sharpen") {
    return {0, -1, 0, -1, 5, -1, 0, -1, 0};
  }
  if (name == "sobel-x") {
    return {-1, 0, 1, -2, 0, 2, -1, 0, 1};
  }
  if (name == "sobel-y") {
    return {-1, -2, -1, 0, 0, 0, 1, 2, 1};
  }
  return {0, 1, 0, 1, -4, 1, 0, 1, 0};
}

/// Neither rounded nor bounded.
template <typename T>
std::vector<double> convolve(const Image<T>& image, const std::string& kernel, bool replicate) {
  const std::vector<int> weights = kernel_of(kernel);
  const double divisor = kernel == "box" ? 9 : kernel == "gauss" ? 16 : 1;
  // A frame of one around the image, filled as the edge says.
  const auto framed = [&](int y, int x, int channel) {
    const bool is_outside = y < 0 || x < 0 || y >= image.height || x >= image.width;
    if (is_outside && !replicate) {
      return 0.0;
    }
    return static_cast<double>(
        image.at(std::clamp(y, 0, image.height - 1), std::clamp(x, 0, image.width - 1), channel));
  };
  std::vector<double> result;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int channel = 0; channel < image.channels; ++channel) {
        double sum = 0;
        for (int dy = -1; dy <= 1; ++dy) {
          for (int dx = -1; dx <= 1; ++dx) {
            sum += weights[static_cast<std::size_t>((dy + 1) * 3 + dx + 1)] * framed(y + dy, x + dx, channel);
          }
        }
        result.push_back(sum / divisor);
      }
    }
  }
  return result;
}

/// In real numbers.
template <typename T>
std::vector<double> resize_bilinear(const Image<T>& image, int height, int width) {
  const auto place = [](int index, int size, int new_size) {
    return std::clamp((index + 0.5) * size / new_size - 0.5, 0.0, size - 1.0);
  };
  std::vector<double> result;
  for (int y = 0; y < height; ++y) {
    const double row = place(y, image.height, height);
    const int upper = static_cast<int>(row);
    const int lower = std::min(upper + 1, image.height - 1);
    for (int x = 0; x < width; ++x) {
      const double column = place(x, image.width, width);
      const int left = static_cast<int>(column);
      const int right = std::min(left + 1, image.width - 1);
      for (int channel = 0; channel < image.channels; ++channel) {
        const double top = std::lerp(static_cast<double>(image.at(upper, left, channel)),
                                     static_cast<double>(image.at(upper, right, channel)), column - left);
        const double bottom = std::lerp(static_cast<double>(image.at(lower, left, channel)),
                                        static_cast<double>(image.at(lower, right, channel)), column - left);
        result.push_back(std::lerp(top, bottom, row - upper));
      }
    }
  }
  return result;
}

template <typename T>
std::vector<T> resize_nearest(const Image<T>& image, int height, int width) {
  std::vector<T> result;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < image.channels; ++channel) {
        result.push_back(image.at(static_cast<int>((y + 0.5) * image.height / height),
                                  static_cast<int>((x + 0.5) * image.width / width), channel));
      }
    }
  }
  return result;
}

}  // namespace guest::graph::reference
