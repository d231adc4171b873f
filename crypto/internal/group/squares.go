package group

import "math/bits"

// squareTimes squares x and y n times each. The two chains are written out in one
// loop so that the processor works on both at once; this is why the function is
// long. What is carried out of a limb is below 2^60, and below 2^9 the second time.
func squareTimes(x, y *limbs, n int) {
	x0, x1, x2, x3, x4 := x[0], x[1], x[2], x[3], x[4]
	y0, y1, y2, y3, y4 := y[0], y[1], y[2], y[3], y[4]
	for range n {
		// x
		xh0, xl0 := bits.Mul64(x0, x0)
		xt1, xt2, xt3, xt4 := 38*x1, 38*x2, 38*x3, 19*x4
		xh0, xl0 = mulAdd(xh0, xl0, xt1, x4)
		xh0, xl0 = mulAdd(xh0, xl0, xt2, x3)
		xd0, xd1 := 2*x0, 2*x1
		xh1, xl1 := bits.Mul64(xd0, x1)
		xh1, xl1 = mulAdd(xh1, xl1, xt2, x4)
		xh1, xl1 = mulAdd(xh1, xl1, 19*x3, x3)
		xh2, xl2 := bits.Mul64(xd0, x2)
		xh2, xl2 = mulAdd(xh2, xl2, x1, x1)
		xh2, xl2 = mulAdd(xh2, xl2, xt3, x4)
		xh3, xl3 := bits.Mul64(xd0, x3)
		xh3, xl3 = mulAdd(xh3, xl3, xd1, x2)
		xh3, xl3 = mulAdd(xh3, xl3, xt4, x4)
		xh4, xl4 := bits.Mul64(xd0, x4)
		xh4, xl4 = mulAdd(xh4, xl4, xd1, x3)
		xh4, xl4 = mulAdd(xh4, xl4, x2, x2)
		x0 = xl0&limbMask + 19*(xh4<<13|xl4>>51)
		x1 = xl1&limbMask + (xh0<<13 | xl0>>51)
		x2 = xl2&limbMask + (xh1<<13 | xl1>>51)
		x3 = xl3&limbMask + (xh2<<13 | xl2>>51)
		x4 = xl4&limbMask + (xh3<<13 | xl3>>51)
		xc0, xc1, xc2, xc3, xc4 := x0>>51, x1>>51, x2>>51, x3>>51, x4>>51
		x0, x1, x2, x3, x4 = x0&limbMask+19*xc4, x1&limbMask+xc0, x2&limbMask+xc1, x3&limbMask+xc2, x4&limbMask+xc3
		// y
		yh0, yl0 := bits.Mul64(y0, y0)
		yt1, yt2, yt3, yt4 := 38*y1, 38*y2, 38*y3, 19*y4
		yh0, yl0 = mulAdd(yh0, yl0, yt1, y4)
		yh0, yl0 = mulAdd(yh0, yl0, yt2, y3)
		yd0, yd1 := 2*y0, 2*y1
		yh1, yl1 := bits.Mul64(yd0, y1)
		yh1, yl1 = mulAdd(yh1, yl1, yt2, y4)
		yh1, yl1 = mulAdd(yh1, yl1, 19*y3, y3)
		yh2, yl2 := bits.Mul64(yd0, y2)
		yh2, yl2 = mulAdd(yh2, yl2, y1, y1)
		yh2, yl2 = mulAdd(yh2, yl2, yt3, y4)
		yh3, yl3 := bits.Mul64(yd0, y3)
		yh3, yl3 = mulAdd(yh3, yl3, yd1, y2)
		yh3, yl3 = mulAdd(yh3, yl3, yt4, y4)
		yh4, yl4 := bits.Mul64(yd0, y4)
		yh4, yl4 = mulAdd(yh4, yl4, yd1, y3)
		yh4, yl4 = mulAdd(yh4, yl4, y2, y2)
		y0 = yl0&limbMask + 19*(yh4<<13|yl4>>51)
		y1 = yl1&limbMask + (yh0<<13 | yl0>>51)
		y2 = yl2&limbMask + (yh1<<13 | yl1>>51)
		y3 = yl3&limbMask + (yh2<<13 | yl2>>51)
		y4 = yl4&limbMask + (yh3<<13 | yl3>>51)
		yc0, yc1, yc2, yc3, yc4 := y0>>51, y1>>51, y2>>51, y3>>51, y4>>51
		y0, y1, y2, y3, y4 = y0&limbMask+19*yc4, y1&limbMask+yc0, y2&limbMask+yc1, y3&limbMask+yc2, y4&limbMask+yc3
	}
	*x = limbs{x0, x1, x2, x3, x4}
	*y = limbs{y0, y1, y2, y3, y4}
}
