<?php
/**
 * Plugin Name:       Related stories
 * Description:       Shows the stories that belong to an article, from a recommender server or its static export, where 'latest' stood.
 * Version:           0.1.0
 * Requires at least: 6.0
 * Requires PHP:      7.4
 * License:           Apache-2.0
 * License URI:       https://www.apache.org/licenses/LICENSE-2.0
 * Text Domain:       related-stories
 *
 * @package Related_Stories
 */

defined( 'ABSPATH' ) || exit;

define( 'RELATED_STORIES_VERSION', '0.1.0' );

require_once __DIR__ . '/includes/class-related-stories-source.php';
require_once __DIR__ . '/includes/class-related-stories-widget.php';

if ( is_admin() ) {
	require_once __DIR__ . '/includes/class-related-stories-settings.php';
	Related_Stories_Settings::hook( plugin_basename( __FILE__ ) );
}

/**
 * The settings, complete: what is not stored has its default.
 *
 * @return array{source: string, server: string, number: int, title: string, append: bool, replace: bool}
 */
function related_stories_settings() {
	$defaults = array(
		'source'  => 'server',
		'server'  => '',
		'number'  => 5,
		'title'   => '',
		'append'  => false,
		'replace' => true,
	);
	$stored   = get_option( 'related_stories', array() );
	return array_merge( $defaults, array_intersect_key( is_array( $stored ) ? $stored : array(), $defaults ) );
}

/**
 * The article that this page shows, or 0: only pages of one published post have a list.
 */
function related_stories_current_post() {
	return is_singular( 'post' ) && 'publish' === get_post_status( get_queried_object_id() ) ? get_queried_object_id() : 0;
}

/**
 * A list as HTML, or '' where there is nothing to show.
 *
 * @param array  $items Of 'title', 'url' and 'published' (a Unix time or null).
 * @param string $title The heading.
 */
function related_stories_html( $items, $title ) {
	if ( ! $items ) {
		return '';
	}
	wp_enqueue_style( 'related-stories' );
	$html = '';
	foreach ( $items as $item ) {
		$html .= '<li><a href="' . esc_url( $item['url'], array( 'http', 'https' ) ) . '">' . esc_html( $item['title'] ) . '</a>';
		if ( null !== $item['published'] ) {
			$html .= ' <time datetime="' . esc_attr( gmdate( 'Y-m-d\TH:i:s\Z', $item['published'] ) ) . '">'
				. esc_html( wp_date( get_option( 'date_format' ), $item['published'] ) ) . '</time>';
		}
		$html .= '</li>';
	}
	return '<nav class="related-stories" aria-label="' . esc_attr( $title ) . '"><h2>' . esc_html( $title ) . '</h2><ul>' . $html . '</ul></nav>';
}

/**
 * The related stories of the article of this page as HTML, or '' where there are none.
 *
 * @param string $title  Heading; '' for the one of the settings.
 * @param int    $number At most so many; 0 for the number of the settings.
 */
function related_stories_list( $title = '', $number = 0 ) {
	$post = related_stories_current_post();
	if ( ! $post ) {
		return '';
	}
	$settings = related_stories_settings();
	$title    = '' !== $title ? $title : $settings['title'];
	$items    = Related_Stories_Source::items( $post, $settings );
	return related_stories_html(
		array_slice( $items, 0, $number > 0 ? $number : $settings['number'] ),
		'' !== $title ? $title : __( 'Related stories', 'related-stories' )
	);
}

/**
 * The same; where there are none, the latest of the site's own posts under a heading that says so.
 *
 * @param string $title  Heading of related stories; '' for the one of the settings.
 * @param int    $number At most so many; 0 for the number of the settings.
 */
function related_stories_or_latest( $title = '', $number = 0 ) {
	$html = related_stories_list( $title, $number );
	if ( '' !== $html ) {
		return $html;
	}
	$settings = related_stories_settings();
	$items    = Related_Stories_Source::latest( related_stories_current_post(), $number > 0 ? $number : $settings['number'] );
	return related_stories_html( $items, __( 'Latest', 'related-stories' ) );
}

add_action(
	'init',
	function () {
		wp_register_style( 'related-stories', plugins_url( 'style.css', __FILE__ ), array(), RELATED_STORIES_VERSION );
		register_block_type(
			__DIR__ . '/block',
			array(
				'render_callback' => function ( $attributes ) {
					$title  = isset( $attributes['title'] ) ? (string) $attributes['title'] : '';
					$number = isset( $attributes['number'] ) ? max( 0, min( 20, (int) $attributes['number'] ) ) : 0;
					return related_stories_or_latest( $title, $number );
				},
			)
		);
	}
);

add_action(
	'widgets_init',
	function () {
		register_widget( 'Related_Stories_Widget' );
	}
);

// Below the article, where the settings ask for it; nothing where nothing is related.
add_filter(
	'the_content',
	function ( $content ) {
		if ( ! is_singular( 'post' ) || ! in_the_loop() || ! is_main_query() || doing_filter( 'get_the_excerpt' ) ) {
			return $content;
		}
		return related_stories_settings()['append'] ? $content . related_stories_list() : $content;
	},
	30
);

// In place of the classic 'Recent Posts' widget. Where there is no list, the widget does what it always did.
add_filter(
	'widget_display_callback',
	function ( $instance, $widget, $args ) {
		if ( ! $widget instanceof WP_Widget_Recent_Posts || ! related_stories_settings()['replace'] ) {
			return $instance;
		}
		$html = related_stories_list( '', isset( $instance['number'] ) ? absint( $instance['number'] ) : 0 );
		if ( '' === $html ) {
			return $instance;
		}
		echo $args['before_widget'], $html, $args['after_widget']; // phpcs:ignore WordPress.Security.EscapeOutput -- escaped where it is made, the rest is the theme's.
		return false;
	},
	10,
	3
);

// In place of the 'Latest Posts' block, with the heading of the group that holds nothing else.
add_filter(
	'pre_render_block',
	function ( $html, $block ) {
		if ( null !== $html || ! related_stories_settings()['replace'] ) {
			return $html;
		}
		$inner = array_column( isset( $block['innerBlocks'] ) ? $block['innerBlocks'] : array(), 'blockName' );
		if ( 'core/latest-posts' === $block['blockName'] ) {
			$latest = $block;
		} elseif ( 'core/group' === $block['blockName'] && array( 'core/heading', 'core/latest-posts' ) === $inner ) {
			$latest = $block['innerBlocks'][1];
		} else {
			return $html;
		}
		$list = related_stories_list( '', isset( $latest['attrs']['postsToShow'] ) ? absint( $latest['attrs']['postsToShow'] ) : 0 );
		return '' !== $list ? $list : $html;
	},
	10,
	2
);
