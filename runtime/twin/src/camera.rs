//! The image that a camera has of the beam: an ellipse of light, counted in pixels.

use fodo_devices::Camera;
use std::sync::Arc;

/// The beam where a camera looks: its centre [m], and the squares and the product of its sizes [m^2].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub centre: [f64; 2],
    /// `<x x>`, `<y y>` and `<x y>` about the centre.
    pub squares: [f64; 3],
}

/// All pixels, row by row, the first of them at the smallest x and the largest y; the middle of the image is the axis.
///
/// `normal` are standard normal numbers, one for each pixel: the number of counts scatters by its root, as that of photons does.
pub(crate) fn image(camera: &Camera, spot: &Spot, light: f64, normal: &[f64]) -> Arc<[f64]> {
    let [xx, yy, xy] = spot.squares;
    let blur = camera.blur * camera.blur;
    // a spot smaller than a pixel still fills one
    let least = camera.pixel * camera.pixel / 12.0;
    let (xx, yy) = (xx + blur + least, yy + blur + least);
    let determinant = xx * yy - xy * xy;
    let peak = camera.counts * light * camera.pixel * camera.pixel / (std::f64::consts::TAU * determinant.sqrt());
    let most = 2_f64.powi(camera.bits as i32) - 1.0;
    let pixel = |at: usize| {
        let (column, row) = (at % camera.width, at / camera.width);
        let x = (column as f64 - 0.5 * (camera.width as f64 - 1.0)) * camera.pixel - spot.centre[0];
        let y = (0.5 * (camera.height as f64 - 1.0) - row as f64) * camera.pixel - spot.centre[1];
        let exponent = (yy * x * x + xx * y * y - 2.0 * xy * x * y) / (2.0 * determinant);
        let mean = camera.background + peak * (-exponent).exp();
        (mean + mean.sqrt() * normal[at]).round().clamp(0.0, most)
    };
    (0..camera.width * camera.height).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: Camera =
        Camera { width: 120, height: 80, pixel: 10e-6, blur: 0.0, counts: 1e9, background: 0.0, bits: 32 };

    /// Sum, centre and squares of what the pixels count.
    fn moments(camera: &Camera, pixels: &[f64]) -> (f64, [f64; 2], [f64; 3]) {
        let place = |at: usize| {
            let (column, row) = (at % camera.width, at / camera.width);
            let middle = |size: usize| 0.5 * (size as f64 - 1.0);
            [column as f64 - middle(camera.width), middle(camera.height) - row as f64].map(|n| n * camera.pixel)
        };
        let sum: f64 = pixels.iter().sum();
        let mean = |of: &dyn Fn([f64; 2]) -> f64| {
            pixels.iter().enumerate().map(|(at, count)| count * of(place(at))).sum::<f64>() / sum
        };
        let [x, y] = [mean(&|at| at[0]), mean(&|at| at[1])];
        let squares =
            [mean(&|at| (at[0] - x).powi(2)), mean(&|at| (at[1] - y).powi(2)), mean(&|at| (at[0] - x) * (at[1] - y))];
        (sum, [x, y], squares)
    }

    #[test]
    fn moments_of_the_image_are_those_of_the_beam() {
        let spot = Spot { centre: [40e-6, -25e-6], squares: [6.4e-9, 2.5e-9, 1.5e-9] };
        let pixels = image(&CAMERA, &spot, 0.2, &vec![0.0; 120 * 80]);
        let (sum, centre, squares) = moments(&CAMERA, &pixels);
        assert!((sum / 2e8 - 1.0).abs() < 1e-4, "{sum}");
        for plane in [0, 1] {
            assert!((centre[plane] - spot.centre[plane]).abs() < 1e-8, "{centre:?}");
            // what a pixel adds by its size
            let wanted = spot.squares[plane] + 1e-10 / 12.0;
            assert!((squares[plane] / wanted - 1.0).abs() < 1e-3, "{squares:?}");
        }
        assert!((squares[2] / spot.squares[2] - 1.0).abs() < 1e-3, "{squares:?}");
    }

    #[test]
    fn pixels_count_whole_numbers_up_to_their_largest() {
        let spot = Spot { centre: [0.0; 2], squares: [1e-9, 1e-9, 0.0] };
        let camera = Camera { bits: 8, background: 3.0, blur: 20e-6, ..CAMERA };
        let normal: Vec<f64> = (0..120 * 80).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let pixels = image(&camera, &spot, 0.2, &normal);
        assert!(pixels.iter().all(|count| count.fract() == 0.0 && (0.0..=255.0).contains(count)));
        assert!(pixels.contains(&255.0) && pixels[0] == 5.0 && pixels[1] == 1.0, "{} {}", pixels[0], pixels[1]);
    }
}
