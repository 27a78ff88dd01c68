// A band of an image with its padding: what the windows of some output rows read.
#pragma once

#include <algorithm>
#include <cstddef>

namespace pybp {

// Rows and columns of an image [height, width, channels], channels side by side. They may reach
// outside, where the padding is, or leave out a border.
struct Band {
    std::ptrdiff_t top;
    std::ptrdiff_t left;
    std::ptrdiff_t height;
    std::ptrdiff_t width;

    std::ptrdiff_t pixels() const { return height * width; }
    bool inside(std::ptrdiff_t image_height, std::ptrdiff_t image_width) const {
        return top >= 0 && left >= 0 && top + height <= image_height && left + width <= image_width;
    }
};

// Pixels [height, width, channels] with rows `row` numbers apart.
template <class T>
struct Plane {
    const T* data;
    std::ptrdiff_t row;
};

// Copies a band to `copy` [band.height, band.width, channels], with zeros outside of the image.
template <class T>
void copy_band(const T* image, std::ptrdiff_t height, std::ptrdiff_t width, std::ptrdiff_t channels,
               const Band& band, T* copy) {
    const std::ptrdiff_t first = std::clamp(-band.left, std::ptrdiff_t{0}, band.width);
    const std::ptrdiff_t last = std::clamp(width - band.left, first, band.width);
    for (std::ptrdiff_t i = 0; i < band.height; ++i) {
        T* row = copy + i * band.width * channels;
        const std::ptrdiff_t y = band.top + i;
        if (y < 0 || y >= height || first == last) {
            std::fill_n(row, band.width * channels, T{0});
            continue;
        }
        std::fill_n(row, first * channels, T{0});
        std::copy_n(image + (y * width + band.left + first) * channels, (last - first) * channels,
                    row + first * channels);
        std::fill_n(row + last * channels, (band.width - last) * channels, T{0});
    }
}

// The band where it lies, or its copy if it reaches outside of the image.
template <class T>
Plane<T> read_band(const T* image, std::ptrdiff_t height, std::ptrdiff_t width,
                   std::ptrdiff_t channels, const Band& band, T* copy) {
    if (band.inside(height, width)) {
        return {image + (band.top * width + band.left) * channels, width * channels};
    }
    copy_band(image, height, width, channels, band, copy);
    return {copy, band.width * channels};
}

}  // namespace pybp
