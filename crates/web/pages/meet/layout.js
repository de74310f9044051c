/**
 * How pictures share a space. Pure arithmetic.
 */

/**
 * The arrangement in rows and columns in which equal tiles become as large as can be.
 *
 * @param {number} count tiles
 * @param {number} width of the space, pixels
 * @param {number} height of the space, pixels
 * @param {number} gap between tiles, pixels
 * @param {number} [aspect] width over height of a tile
 */
export function fitGrid(count, width, height, gap, aspect = 16 / 9) {
  let best = { columns: 1, rows: Math.max(1, count), tileWidth: 0, tileHeight: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - gap * (columns - 1)) / columns;
    const cellHeight = (height - gap * (rows - 1)) / rows;
    const tileWidth = Math.floor(Math.min(cellWidth, cellHeight * aspect));
    if (tileWidth > best.tileWidth) {
      best = { columns, rows, tileWidth, tileHeight: Math.floor(tileWidth / aspect) };
    }
  }
  return best;
}

/**
 * The shape of tiles that suits a space: an upright screen is filled by one person, and has squares
 * where two columns are better than one.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 */
export function tileAspect(count, width, height) {
  if (height <= width) return 16 / 9;
  if (count === 1) return width / Math.max(height, 1);
  return count >= 4 && count <= 8 ? 1 : 4 / 3;
}
